import type { EngineError } from './engine.js';

/** What to do about an engine's error. */
export type Recovery =
  | 'none'
  | 'start-load' // network: ask again
  | 'recover-media' // decoder: rebuild it
  | 'swap-audio' // decoder, again at once: rebuild it with the other AAC flavour
  | 'reconnect'; // start over from the playlist

const mediaWindowMs = 5000;
const maxStartLoads = 4;

/**
 * Decides as hls.js's guidance says: a fatal network error asks again, a fatal media error rebuilds the decoder,
 * a second one soon after swaps the audio codec; whatever does not help ends in a fresh start.
 */
export class RecoveryPlan {
  private startLoads = 0;
  private lastMediaMs = -Infinity;
  private lastSwapMs = -Infinity;

  /** nowMs is any steady clock. */
  decide(error: EngineError, nowMs: number): Recovery {
    if (!error.fatal) return 'none';
    if (error.kind === 'network') return this.afterNetwork(error);
    if (error.kind === 'media') return this.afterMedia(error, nowMs);
    return 'reconnect';
  }

  /** How many network errors came in a row: the wait before the next start-load grows with it. */
  get attempt(): number {
    return this.startLoads;
  }

  /** Media came in: the next network error is a first one again. */
  progress(): void {
    this.startLoads = 0;
  }

  private afterNetwork(error: EngineError): Recovery {
    // A playlist that is gone or unreadable does not come back by asking the same loader.
    const gone = error.status === 404 || error.status === 410;
    if (gone || error.detail.startsWith('manifest') || this.startLoads >= maxStartLoads) return 'reconnect';
    this.startLoads++;
    return 'start-load';
  }

  private afterMedia(error: EngineError, nowMs: number): Recovery {
    if (error.detail.startsWith('manifest')) return 'reconnect';
    if (nowMs - this.lastMediaMs > mediaWindowMs) {
      this.lastMediaMs = nowMs;
      return 'recover-media';
    }
    if (nowMs - this.lastSwapMs > mediaWindowMs) {
      this.lastSwapMs = nowMs;
      return 'swap-audio';
    }
    return 'reconnect';
  }
}
