// Fullscreen and picture-in-picture, with WebKit's ways on the iPhone.

type WebKitVideo = HTMLVideoElement & { webkitEnterFullscreen?(): void; webkitSupportsFullscreen?: boolean };

export function fullscreenSupported(video: HTMLVideoElement): boolean {
  return document.fullscreenEnabled || 'webkitEnterFullscreen' in video;
}

/** The whole player goes fullscreen, or on the iPhone the picture alone. */
export async function toggleFullscreen(container: HTMLElement, video: HTMLVideoElement): Promise<void> {
  if (document.fullscreenElement !== null) return document.exitFullscreen();
  if (document.fullscreenEnabled) return container.requestFullscreen();
  (video as WebKitVideo).webkitEnterFullscreen?.();
}

export function pictureInPictureSupported(): boolean {
  return document.pictureInPictureEnabled === true;
}

export async function togglePictureInPicture(video: HTMLVideoElement): Promise<void> {
  if (document.pictureInPictureElement !== null) return document.exitPictureInPicture();
  await video.requestPictureInPicture();
}
