// The engine on hls.js. This file is the only one that imports it, and is itself loaded only by the watch page.
import Hls, { ErrorTypes, Events, type ErrorData, type HlsConfig, type Level, type LevelDetails } from 'hls.js';
import type { Engine, EngineError, EngineErrorKind, EngineEvents, Rung } from './engine.js';
import { SessionWatch } from './watchdog.js';

const config: Partial<HlsConfig> = {
  // CMAF needs no remuxing: parsing two boxes a segment is cheaper than a worker and its 118 KB.
  enableWorker: false,
  lowLatencyMode: true,
  liveDurationInfinity: true,
  // After a hiccup live playback catches up at 4 % more speed, which ears do not notice.
  maxLiveSyncPlaybackRate: 1.04,
  maxBufferLength: 30,
  backBufferLength: 30,
  capLevelToPlayerSize: true,
  // Start near the middle of a common ladder instead of at the lowest rung.
  abrEwmaDefaultEstimate: 2_500_000,
  enableCEA708Captions: false,
  enableWebVTT: false,
  enableIMSC1: false,
};

export const hlsSupported = (): boolean => Hls.isSupported();

export class HlsEngine implements Engine {
  private readonly hls = new Hls(config);
  private readonly sessions = new SessionWatch();

  constructor(private readonly events: EngineEvents) {
    this.hls.on(Events.MANIFEST_PARSED, () => this.events.rungs(this.rungs()));
    this.hls.on(Events.LEVELS_UPDATED, () => this.events.rungs(this.rungs()));
    this.hls.on(Events.LEVEL_SWITCHED, () => this.events.level());
    this.hls.on(Events.FRAG_BUFFERED, () => this.events.progress());
    this.hls.on(Events.LEVEL_LOADED, (_, data) => this.watchSession(data.details));
    this.hls.on(Events.ERROR, (_, data) => this.events.error(toEngineError(data)));
  }

  attach(video: HTMLVideoElement, playlist: string): void {
    this.hls.loadSource(playlist);
    this.hls.attachMedia(video);
  }

  destroy(): void {
    this.hls.destroy();
  }

  level(): number | null {
    return this.hls.currentLevel < 0 ? null : this.hls.currentLevel;
  }

  selected(): number | null {
    return this.hls.autoLevelEnabled ? null : this.hls.manualLevel;
  }

  select(index: number | null): void {
    // nextLevel keeps the picture going and replaces what is buffered ahead.
    this.hls.nextLevel = index ?? -1;
  }

  livePosition(): number | null {
    return this.live() ? this.hls.liveSyncPosition : null;
  }

  edgeLatency(): number | null {
    return this.live() ? this.hls.latency : null;
  }

  pictureTime(): number | null {
    return this.hls.playingDate?.getTime() ?? null;
  }

  bandwidth(): number | null {
    return Number.isFinite(this.hls.bandwidthEstimate) ? this.hls.bandwidthEstimate : null;
  }

  startLoad(): void {
    this.hls.startLoad();
  }

  recoverMedia(swapAudio: boolean): void {
    if (swapAudio) this.hls.swapAudioCodec();
    this.hls.recoverMediaError();
  }

  private watchSession(details: LevelDetails): void {
    const timeMs = details.fragments.at(-1)?.programDateTime ?? null;
    if (timeMs !== null && this.sessions.restarted(details.endSN, timeMs)) this.events.restarted();
  }

  private live(): boolean {
    return this.hls.latestLevelDetails?.live ?? false;
  }

  private rungs(): Rung[] {
    return this.hls.levels.map(toRung);
  }
}

function toRung(level: Level, index: number): Rung {
  return { index, width: level.width, height: level.height, bitrate: level.bitrate, frameRate: level.frameRate };
}

function toEngineError(data: ErrorData): EngineError {
  return {
    kind: errorKind(data.type),
    fatal: data.fatal,
    detail: data.details,
    message: data.error.message,
    status: data.response?.code ?? 0,
  };
}

function errorKind(type: ErrorTypes): EngineErrorKind {
  if (type === ErrorTypes.NETWORK_ERROR) return 'network';
  return type === ErrorTypes.MEDIA_ERROR ? 'media' : 'other';
}
