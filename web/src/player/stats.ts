// What the player measures about itself. Pure but for reading the video element.

export interface PlayerStats {
  /** Seconds from the broadcaster's clock to the screen where the playlist tells the time, else to the live edge. */
  readonly latency: number | null;
  /** Seconds behind the end of the live playlist. */
  readonly edgeLatency: number | null;
  /** Seconds that play without any further request. */
  readonly buffer: number;
  readonly droppedFrames: number;
  readonly totalFrames: number;
  readonly width: number;
  readonly height: number;
  /** Bits a second, null when unknown. */
  readonly bandwidth: number | null;
  /** Times that playback ran dry after it had begun, and how long that took in all. */
  readonly stalls: number;
  readonly stalledMs: number;
  readonly playbackRate: number;
}

/** Seconds of media ahead of the position in ranges; holes up to 0.1 s are jumped by the players. */
export function bufferAhead(ranges: readonly (readonly [number, number])[], position: number): number {
  let end = position;
  for (const [from, to] of ranges) {
    if (from <= end + 0.1 && to > end) end = to;
  }
  return end - position;
}

/** Latency from the picture's own time of day; null when the clocks cannot be compared. */
export function clockLatency(pictureMs: number | null, nowMs: number): number | null {
  if (pictureMs === null) return null;
  const behind = (nowMs - pictureMs) / 1000;
  // Outside of this the two clocks differ, or the viewer watches the past on purpose.
  return behind >= 0 && behind < 120 ? behind : null;
}

export function rangesOf(ranges: TimeRanges): [number, number][] {
  return Array.from({ length: ranges.length }, (_, i) => [ranges.start(i), ranges.end(i)]);
}

/** Counts the times that playback runs dry. A seek or the first load is not a stall. */
export class StallMeter {
  stalls = 0;
  private pastMs = 0;
  private sinceMs: number | null = null;

  /** Playback waits for media. */
  waiting(nowMs: number, seeking: boolean, begun: boolean): void {
    if (seeking || !begun || this.sinceMs !== null) return;
    this.stalls++;
    this.sinceMs = nowMs;
  }

  /** Playback moves, or the viewer stopped it. */
  moving(nowMs: number): void {
    if (this.sinceMs !== null) this.pastMs += nowMs - this.sinceMs;
    this.sinceMs = null;
  }

  totalMs(nowMs: number): number {
    return this.pastMs + (this.sinceMs === null ? 0 : nowMs - this.sinceMs);
  }
}
