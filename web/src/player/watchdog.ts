// Notices that live playback does not move, tells a slow viewer from a publisher who is away, and one broadcast from
// the next. Pure.

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

const clockSlackMs = 500;

/**
 * Notices that a broadcaster is back so soon that the end of the last broadcast was missed: the same addresses then
 * hold playlists of another session, whose numbers begin anew while the time of day goes on. What is merely behind,
 * another rendition or a cache's copy, is behind in both.
 */
export class SessionWatch {
  private number = -1;
  private timeMs = -Infinity;

  /** number and timeMs are the sequence number and program date-time of a live playlist's last segment. */
  restarted(number: number, timeMs: number): boolean {
    const again = number <= this.number && timeMs > this.timeMs + clockSlackMs;
    if (again || number > this.number) {
      this.number = number;
      this.timeMs = timeMs;
    }
    return again;
  }
}
