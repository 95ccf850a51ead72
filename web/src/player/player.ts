import { backoffDelay, type Backoff } from '../backoff.js';
import type { Engine, EngineError, EngineEvents, Rung } from './engine.js';
import { loadEngine } from './load_engine.js';
import { loadVolume, saveVolume } from './preferences.js';
import { probe, type Probe } from './probe.js';
import { RecoveryPlan } from './recovery.js';
import { bufferAhead, clockLatency, rangesOf, StallMeter, type PlayerStats } from './stats.js';
import { EdgeWatch, ProgressWatch } from './watchdog.js';

export type PlayerState =
  | 'connecting' // looking for the playlist, or reading it
  | 'waiting' // nothing is published here now; asked again and again
  | 'ready' // the video element has media: it says itself whether it plays
  | 'interrupted' // the playlist is there and does not grow: the publisher is away
  | 'ended' // the broadcast or recording is over; a live one is asked for again
  | 'failed'; // reason says why; tried again

export interface Source {
  readonly kind: 'live' | 'recording';
  readonly playlist: string;
}

const tickMs = 500;
const stuckMs = 6000; // three segments: past this it is not a hiccup
const hopelessMs = 16_000; // the playlist grows and playback still stands: start over
const edgeProbeMs = 3000;
const behindSeconds = 4; // past the target latency by this much, "go live" shows
const retry: Backoff = { firstMs: 2000, factor: 1.4, maxMs: 10_000 };
const reload: Backoff = { firstMs: 500, factor: 2, maxMs: 8000 };

/**
 * Plays one live stream or recording in a video element, and keeps at it: probes until there is something to play,
 * hands it to an engine, recovers from the engine's errors, notices the end and the return.
 *
 *     probe ──playable──▶ engine ──fatal──▶ RecoveryPlan ──▶ startLoad | recoverMedia | probe again
 *       ▲ back-off          │ ended, stuck
 *       └───────────────────┘
 */
export class Player {
  state: PlayerState = 'connecting';
  /** Why state is 'failed': a short sentence. */
  reason = '';
  rungs: readonly Rung[] = [];
  /** The engine's errors so far, and how many of them were fatal to it (recovered or not). */
  errors = 0;
  fatalErrors = 0;
  /** The newest of them in the engine's words, empty for none. */
  lastError = '';
  /** Playback began without sound because browsers want a tap first: views offer to unmute. */
  offersUnmute = false;

  private engine: Engine | null = null;
  private connection: AbortController | null = null;
  private attempts = 0;
  private retryTimer: ReturnType<typeof setTimeout> | undefined;
  private reloadTimer: ReturnType<typeof setTimeout> | undefined;
  private readonly ticker: ReturnType<typeof setInterval>;
  private wantsPlay = true;
  private begun = false;
  private plan = new RecoveryPlan();
  private readonly stallMeter = new StallMeter();
  private readonly progressWatch = new ProgressWatch();
  private readonly edgeWatch = new EdgeWatch();
  private edgeProbedMs = 0;
  private wasBehind = false;
  private readonly listeners = new Set<() => void>();
  private readonly unlisten = new AbortController();

  constructor(
    readonly video: HTMLVideoElement,
    readonly source: Source,
  ) {
    this.applyVolume();
    this.listen();
    this.ticker = setInterval(() => this.tick(), tickMs);
  }

  /** Calls listener after each change of what this object shows; the video element has events of its own. */
  onChange(listener: () => void): void {
    this.listeners.add(listener);
  }

  /** Looks for the stream now; also the answer to "try again". */
  connect(): void {
    if (this.state === 'failed') this.enter('connecting');
    this.look();
  }

  destroy(): void {
    this.connection?.abort();
    this.unlisten.abort();
    clearInterval(this.ticker);
    clearTimeout(this.retryTimer);
    this.dropEngine();
    this.listeners.clear();
  }

  // What the viewer does.

  togglePlay(): void {
    if (this.state === 'ended' && this.source.kind === 'recording') this.video.currentTime = 0;
    this.wantsPlay = this.video.paused;
    if (this.wantsPlay) void this.play();
    else this.video.pause();
  }

  /** Moves a recording by some seconds. */
  seekBy(seconds: number): void {
    if (this.source.kind === 'recording') this.seekTo(this.video.currentTime + seconds);
  }

  seekTo(seconds: number): void {
    const end = Number.isFinite(this.video.duration) ? this.video.duration : 0;
    this.video.currentTime = Math.min(Math.max(seconds, 0), end);
  }

  goLive(): void {
    const position = this.engine?.livePosition() ?? null;
    if (position !== null) this.video.currentTime = position;
    this.wantsPlay = true;
    void this.play();
  }

  setMuted(muted: boolean): void {
    if (!muted && this.video.volume === 0) this.video.volume = 0.5;
    this.video.muted = muted;
    this.volumeChosen();
  }

  setVolume(level: number): void {
    this.video.volume = Math.min(Math.max(level, 0), 1);
    this.video.muted = this.video.volume === 0;
    this.volumeChosen();
  }

  selectRung(index: number | null): void {
    this.engine?.select(index);
    this.changed();
  }

  // What views show.

  get currentRung(): number | null {
    return this.engine?.level() ?? null;
  }

  get selectedRung(): number | null {
    return this.engine?.selected() ?? null;
  }

  /** Whether live playback is so far back that going live makes sense. */
  get behindLive(): boolean {
    const position = this.engine?.livePosition() ?? null;
    return position !== null && position - this.video.currentTime > behindSeconds;
  }

  stats(): PlayerStats {
    const { video, engine } = this;
    const now = performance.now();
    const frames = video.getVideoPlaybackQuality?.();
    const live = this.source.kind === 'live';
    const edgeLatency = live ? (engine?.edgeLatency() ?? null) : null;
    return {
      latency: live ? (clockLatency(engine?.pictureTime() ?? null, Date.now()) ?? edgeLatency) : null,
      edgeLatency,
      buffer: bufferAhead(rangesOf(video.buffered), video.currentTime),
      droppedFrames: frames?.droppedVideoFrames ?? 0,
      totalFrames: frames?.totalVideoFrames ?? 0,
      width: video.videoWidth,
      height: video.videoHeight,
      bandwidth: engine?.bandwidth() ?? null,
      stalls: this.stallMeter.stalls,
      stalledMs: this.stallMeter.totalMs(now),
      playbackRate: video.playbackRate,
    };
  }

  // Finding the stream.

  private look(): void {
    clearTimeout(this.retryTimer);
    this.connection?.abort();
    this.connection = new AbortController();
    void this.find(this.connection.signal);
  }

  private async find(signal: AbortSignal): Promise<void> {
    try {
      const found = await probe(this.source.playlist, signal);
      if (signal.aborted) return;
      if (this.playable(found)) await this.attach(signal);
      else this.waitFor(found);
    } catch (error) {
      if (!signal.aborted) this.fail(error instanceof Error ? error.message : String(error));
    }
  }

  private playable(found: Probe): boolean {
    return found.kind === 'live' || (found.kind === 'complete' && this.source.kind === 'recording');
  }

  private async attach(signal: AbortSignal): Promise<void> {
    this.dropEngine();
    this.enter('connecting');
    // Events of an engine that was dropped meanwhile are not ours any more.
    const current = (): boolean => engine !== null && this.engine === engine;
    const events: EngineEvents = {
      rungs: (rungs) => current() && this.onRungs(rungs),
      level: () => current() && this.changed(),
      progress: () => current() && this.onProgress(),
      restarted: () => current() && this.reconnect(),
      error: (error) => current() && this.onError(error),
    };
    let engine: Engine | null = null;
    engine = await loadEngine(this.video, events);
    if (signal.aborted) return engine.destroy();
    this.engine = engine;
    this.plan = new RecoveryPlan();
    this.edgeWatch.reset();
    engine.attach(this.video, this.source.playlist);
  }

  private waitFor(found: Probe): void {
    if (found.kind === 'complete') this.enter('ended');
    // "Over" stays on the screen until the stream returns, whatever the server says meanwhile.
    else if (this.state === 'ended') this.changed();
    else if (found.kind === 'unreachable') return this.fail(found.reason);
    else if (this.source.kind === 'recording') return this.fail('this recording does not exist');
    else this.enter('waiting');
    this.retryLater();
  }

  private fail(reason: string): void {
    this.dropEngine();
    this.reason = reason;
    this.enter('failed');
    this.retryLater();
  }

  private retryLater(): void {
    clearTimeout(this.retryTimer);
    this.retryTimer = setTimeout(() => this.look(), backoffDelay(this.attempts++, retry));
  }

  // What the engine says.

  private onRungs(rungs: readonly Rung[]): void {
    const first = this.state === 'connecting';
    this.rungs = rungs;
    if (first) {
      this.enter('ready');
      if (this.wantsPlay) void this.play();
    } else {
      this.changed();
    }
  }

  private onProgress(): void {
    this.attempts = 0;
    this.plan.progress();
  }

  private onError(error: EngineError): void {
    this.errors++;
    if (error.fatal) this.fatalErrors++;
    this.lastError = `${error.detail}${error.status > 0 ? ` ${error.status}` : ''}: ${error.message}`;
    const step = this.plan.decide(error, performance.now());
    if (step === 'start-load') this.startLoadLater();
    else if (step === 'recover-media') this.engine?.recoverMedia(false);
    else if (step === 'swap-audio') this.engine?.recoverMedia(true);
    else if (step === 'reconnect') this.reconnect();
    if (error.fatal && this.wantsPlay && this.engine !== null) void this.play();
  }

  private startLoadLater(): void {
    clearTimeout(this.reloadTimer);
    this.reloadTimer = setTimeout(() => this.engine?.startLoad(), backoffDelay(this.plan.attempt - 1, reload));
  }

  private reconnect(): void {
    this.dropEngine();
    this.enter('connecting');
    // The first time at once; a stream that fails again and again is asked for ever more slowly.
    if (this.attempts === 0) {
      this.attempts = 1;
      this.look();
    } else {
      this.retryLater();
    }
  }

  // What the video element and the clock say.

  private listen(): void {
    const { video } = this;
    const on = (target: EventTarget, type: string, run: () => void) =>
      target.addEventListener(type, run, { signal: this.unlisten.signal });
    on(video, 'playing', () => this.onPlaying());
    on(video, 'pause', () => this.stallMeter.moving(performance.now()));
    on(video, 'waiting', () => this.stallMeter.waiting(performance.now(), video.seeking, this.begun));
    on(video, 'ended', () => this.onEnded());
    on(window, 'online', () => this.state !== 'ready' && this.connect());
  }

  private onPlaying(): void {
    this.begun = true;
    this.stallMeter.moving(performance.now());
    if (this.state === 'interrupted' || this.state === 'ended') this.enter('ready');
  }

  private onEnded(): void {
    this.stallMeter.moving(performance.now());
    this.enter('ended');
    if (this.source.kind === 'live') this.retryLater();
  }

  private tick(): void {
    const { video } = this;
    const now = performance.now();
    const wanted = this.engine !== null && !video.paused && !video.ended && !video.seeking;
    const stuck = this.progressWatch.tick(now, video.currentTime, wanted);
    const watched = this.state === 'ready' || this.state === 'interrupted';
    if (this.source.kind !== 'live' || !watched) return;
    if (this.state === 'interrupted' && stuck === 0 && wanted) this.enter('ready');
    this.watchDistance();
    if (stuck > stuckMs && now - this.edgeProbedMs > edgeProbeMs) {
      this.edgeProbedMs = now;
      void this.checkEdge(stuck);
    }
  }

  /** A paused picture falls behind without any event of the video element. */
  private watchDistance(): void {
    const behind = this.behindLive;
    if (behind !== this.wasBehind) this.changed();
    this.wasBehind = behind;
  }

  /** Playback stands still: finds out whether the stream does, too. */
  private async checkEdge(stuck: number): Promise<void> {
    const signal = this.connection?.signal;
    const engine = this.engine;
    if (signal === undefined) return;
    const found = await probe(this.source.playlist, signal).catch(() => null);
    if (found === null || signal.aborted || this.engine !== engine) return;
    if (found.kind === 'absent') {
      this.dropEngine();
      this.waitFor(found);
    } else if (found.kind === 'complete') {
      this.waitFor(found);
    } else if (found.kind === 'live') {
      this.judgeEdge(this.edgeWatch.seen(found.mark, performance.now()), stuck);
    }
  }

  private judgeEdge(unchangedMs: number, stuck: number): void {
    if (unchangedMs >= stuckMs) this.enter('interrupted');
    else if (unchangedMs === 0 && stuck > hopelessMs) this.reconnect();
  }

  // Small things.

  private async play(): Promise<void> {
    try {
      await this.video.play();
    } catch (error) {
      // Sound without a tap is not allowed here: play without it. Other rejections mean that the media went away.
      if (!(error instanceof DOMException) || error.name !== 'NotAllowedError' || this.video.muted) return;
      this.video.muted = true;
      this.offersUnmute = true;
      this.changed();
      await this.video.play().catch(() => undefined);
    }
  }

  private applyVolume(): void {
    const stored = loadVolume();
    this.video.volume = stored?.level ?? 1;
    this.video.muted = stored?.muted ?? true;
    this.offersUnmute = stored === null;
  }

  private volumeChosen(): void {
    this.offersUnmute = false;
    saveVolume({ level: this.video.volume, muted: this.video.muted });
    this.changed();
  }

  private dropEngine(): void {
    clearTimeout(this.reloadTimer);
    const engine = this.engine;
    this.engine = null;
    engine?.destroy();
    this.rungs = [];
  }

  private enter(state: PlayerState): void {
    this.state = state;
    this.changed();
  }

  private changed(): void {
    for (const listener of this.listeners) listener();
  }
}
