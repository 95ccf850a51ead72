// Notices that live playback does not move, and tells a slow viewer from a publisher who is away. Pure.

/** How long the position has not moved although it should. */
export class ProgressWatch {
  private position = NaN;
  private movedMs = 0;

  /** Call regularly; moving says whether playback is wanted now. Returns milliseconds without progress. */
  tick(nowMs: number, position: number, wanted: boolean): number {
    if (!wanted || position !== this.position) {
      this.position = position;
      this.movedMs = nowMs;
    }
    return nowMs - this.movedMs;
  }
}

/** How long a live playlist has stayed as it is. */
export class EdgeWatch {
  private mark: string | null = null;
  private sinceMs = 0;

  /** mark is Probe's; returns milliseconds since it was first seen. */
  seen(mark: string, nowMs: number): number {
    if (mark !== this.mark) {
      this.mark = mark;
      this.sinceMs = nowMs;
    }
    return nowMs - this.sinceMs;
  }

  reset(): void {
    this.mark = null;
  }
}
