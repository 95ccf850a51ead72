// What the player needs of the thing that turns a playlist into media: hls.js, or the browser itself on Safari.

/** One video quality that the viewer can choose. */
export interface Rung {
  /** The engine's own index, as level() and select() use it. */
  readonly index: number;
  readonly width: number;
  readonly height: number;
  /** Bits a second, 0 when unknown. */
  readonly bitrate: number;
  /** Frames a second, 0 when unknown. */
  readonly frameRate: number;
}

export type EngineErrorKind = 'network' | 'media' | 'other';

export interface EngineError {
  readonly kind: EngineErrorKind;
  /** The engine gave up by itself; without a reaction of ours nothing more plays. */
  readonly fatal: boolean;
  /** The engine's own word for it, such as "fragLoadError". */
  readonly detail: string;
  /** What happened, for people. */
  readonly message: string;
  /** HTTP status of the failed request, 0 when there was no answer or no request. */
  readonly status: number;
}

export interface EngineEvents {
  /** The playlist is read and its rungs are known; also called when rungs go away. */
  rungs(rungs: readonly Rung[]): void;
  /** Another rung is on the screen. */
  level(): void;
  /** New media came in: what failed before works again. */
  progress(): void;
  /** Another broadcast has taken the place of the one that played: what is buffered does not lead into it. */
  restarted(): void;
  error(error: EngineError): void;
}

export interface Engine {
  /** Begins to load the playlist into the video element. Called once. */
  attach(video: HTMLVideoElement, playlist: string): void;
  /** Ends every request and lets the video element go. */
  destroy(): void;
  /** The rung on the screen, or null when not known. */
  level(): number | null;
  /** The rung that the viewer chose, or null for automatic. */
  selected(): number | null;
  select(index: number | null): void;
  /** Where live playback belongs, seconds on the video's clock; null when the media is not live. */
  livePosition(): number | null;
  /** Seconds behind the end of the live playlist, or null. */
  edgeLatency(): number | null;
  /** The wall-clock time (ms) when the picture on the screen was taken, from EXT-X-PROGRAM-DATE-TIME, or null. */
  pictureTime(): number | null;
  /** Estimated bits a second of the way to the server, or null. */
  bandwidth(): number | null;
  /** Starts loading again after a fatal network error. */
  startLoad(): void;
  /** Rebuilds the decoder after a fatal media error; swapAudio first exchanges the AAC flavour, the last resort. */
  recoverMedia(swapAudio: boolean): void;
}

/** Makes the engine that fits this browser; rejects with a plain sentence when none does. */
export type EngineLoader = (events: EngineEvents) => Promise<Engine>;
