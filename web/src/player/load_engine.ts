import type { Engine, EngineEvents } from './engine.js';
import { nativeSupported, NativeEngine } from './engine_native.js';

/** hls.js where Media Source Extensions exist, else the browser's own player. */
export async function loadEngine(video: HTMLVideoElement, events: EngineEvents): Promise<Engine> {
  const { HlsEngine, hlsSupported } = await import('./engine_hls.js');
  if (hlsSupported()) return new HlsEngine(events);
  if (nativeSupported(video)) return new NativeEngine(events);
  throw new Error('This browser cannot play HLS.');
}
