import type { Engine, EngineErrorKind, EngineEvents } from './engine.js';

export function nativeSupported(video: HTMLVideoElement): boolean {
  return video.canPlayType('application/vnd.apple.mpegurl') !== '';
}

/** The browser's own HLS player (Safari without Media Source Extensions). It chooses the rung by itself. */
export class NativeEngine implements Engine {
  private video: HTMLVideoElement | null = null;
  private playlist = '';

  constructor(private readonly events: EngineEvents) {}

  attach(video: HTMLVideoElement, playlist: string): void {
    this.video = video;
    this.playlist = playlist;
    video.addEventListener('loadedmetadata', this.onMetadata);
    video.addEventListener('progress', this.onProgress);
    video.addEventListener('error', this.onError);
    video.src = playlist;
  }

  destroy(): void {
    const video = this.video;
    this.video = null;
    if (video === null) return;
    video.removeEventListener('loadedmetadata', this.onMetadata);
    video.removeEventListener('progress', this.onProgress);
    video.removeEventListener('error', this.onError);
    video.removeAttribute('src');
    video.load();
  }

  level(): null {
    return null;
  }

  selected(): null {
    return null;
  }

  select(): void {
    // The browser offers no choice; rungs() reported none, so no menu shows.
  }

  livePosition(): number | null {
    const video = this.video;
    if (video === null || video.duration !== Infinity || video.seekable.length === 0) return null;
    return Math.max(video.seekable.end(video.seekable.length - 1) - 6, 0);
  }

  edgeLatency(): number | null {
    const video = this.video;
    if (video === null || video.duration !== Infinity || video.seekable.length === 0) return null;
    return Math.max(video.seekable.end(video.seekable.length - 1) - video.currentTime, 0);
  }

  pictureTime(): number | null {
    // WebKit's own addition: the time of day at position 0.
    const start = (this.video as (HTMLVideoElement & { getStartDate?(): Date }) | null)?.getStartDate?.().getTime();
    return start === undefined || !Number.isFinite(start) ? null : start + (this.video?.currentTime ?? 0) * 1000;
  }

  bandwidth(): null {
    return null;
  }

  startLoad(): void {
    this.reload();
  }

  recoverMedia(): void {
    this.reload();
  }

  private reload(): void {
    if (this.video === null) return;
    this.video.src = this.playlist;
    this.video.load();
  }

  private readonly onMetadata = (): void => this.events.rungs([]);
  private readonly onProgress = (): void => this.events.progress();

  private readonly onError = (): void => {
    const code = this.video?.error?.code ?? 0;
    const kind: EngineErrorKind = code === MediaError.MEDIA_ERR_NETWORK ? 'network' : 'media';
    const message = this.video?.error?.message ?? '';
    this.events.error({ kind, fatal: true, detail: `mediaError${code}`, message, status: 0 });
  };
}
