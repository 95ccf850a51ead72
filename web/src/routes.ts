// Addresses of the page's views. Pure.

export type Route =
  | { readonly page: 'home' }
  | { readonly page: 'watch'; readonly playbackId: string }
  | { readonly page: 'recording'; readonly videoId: string }
  | { readonly page: 'missing' };

// What a playback or video id may look like; anything else never reaches a playback address.
const id = /^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$/;

/** The view that a path of this site names. */
export function parseRoute(pathname: string): Route {
  const [first, second, ...rest] = pathname.split('/').filter((part) => part !== '');
  if (first === undefined) return { page: 'home' };
  if (second === undefined || rest.length > 0 || !id.test(second)) return { page: 'missing' };
  if (first === 'watch') return { page: 'watch', playbackId: second };
  if (first === 'recording') return { page: 'recording', videoId: second };
  return { page: 'missing' };
}

export const watchPath = (playbackId: string): string => `/watch/${encodeURIComponent(playbackId)}`;
export const recordingPath = (videoId: string): string => `/recording/${encodeURIComponent(videoId)}`;
export const livePlaylist = (playbackId: string): string => `/hls/${encodeURIComponent(playbackId)}/index.m3u8`;
export const livePoster = (playbackId: string): string => `/hls/${encodeURIComponent(playbackId)}/poster.jpg`;
export const recordingPlaylist = (videoId: string): string => `/vod/${encodeURIComponent(videoId)}/index.m3u8`;
