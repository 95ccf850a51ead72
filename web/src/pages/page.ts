/** One view of the site: an element, and an end to its timers and requests. */
export interface Page {
  readonly element: HTMLElement;
  destroy(): void;
}

/** The browser tab's title. */
export function setTitle(title: string): void {
  document.title = title === '' ? 'Nova' : `${title} · Nova`;
}

/** Runs while the tab is seen: now, again at each return, and stop when it is hidden. Returns the end of it all. */
export function whileVisible(start: () => void, stop: () => void): () => void {
  const change = (): void => (document.hidden ? stop() : start());
  document.addEventListener('visibilitychange', change);
  change();
  return () => {
    document.removeEventListener('visibilitychange', change);
    stop();
  };
}
