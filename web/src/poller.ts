import { backoffDelay, type Backoff } from './backoff.js';

const afterError: Backoff = { firstMs: 2000, factor: 1.7, maxMs: 30_000 };

/** Called with each answer, and with each failure and the wait that follows it. */
export interface PollerEvents<T> {
  value(value: T): void;
  failed(error: unknown, retryInMs: number): void;
}

/** The timers of the browser; tests pass their own. */
export interface Timers {
  set(run: () => void, ms: number): unknown;
  clear(handle: unknown): void;
}

const browserTimers: Timers = {
  set: (run, ms) => setTimeout(run, ms),
  clear: (handle) => clearTimeout(handle as ReturnType<typeof setTimeout>),
};

/** Asks again and again, one request at a time; backs off while requests fail and rests while paused. */
export class Poller<T> {
  private abort: AbortController | null = null;
  private timer: unknown = null;
  private failures = 0;

  constructor(
    private readonly load: (signal: AbortSignal) => Promise<T>,
    private readonly intervalMs: number,
    private readonly events: PollerEvents<T>,
    private readonly timers: Timers = browserTimers,
  ) {}

  /** Asks now, dropping a request or wait in progress. */
  start(): void {
    this.stop();
    const abort = new AbortController();
    this.abort = abort;
    void this.ask(abort);
  }

  /** Stops asking; an answer still under way is not reported. */
  stop(): void {
    this.abort?.abort();
    this.abort = null;
    this.timers.clear(this.timer);
    this.timer = null;
  }

  private async ask(abort: AbortController): Promise<void> {
    let waitMs = this.intervalMs;
    try {
      const value = await this.load(abort.signal);
      if (abort.signal.aborted) return;
      this.failures = 0;
      this.events.value(value);
    } catch (error) {
      if (abort.signal.aborted) return;
      waitMs = backoffDelay(this.failures++, afterError);
      this.events.failed(error, waitMs);
    }
    // An event handler may have stopped or restarted the poller.
    if (!abort.signal.aborted) this.timer = this.timers.set(() => void this.ask(abort), waitMs);
  }
}
