import { h } from '../dom.js';
import { icon, type IconName } from '../icons.js';

export interface Poster {
  readonly element: HTMLElement;
  /** Shows the picture under url; the old one stays until the new one is here. Empty shows none. */
  show(url: string): void;
}

/** A picture with an icon under it for as long as there is none. */
export function createPoster(fallback: IconName): Poster {
  const image = h('img', { class: 'poster-image', alt: '', decoding: 'async', hidden: true });
  const element = h('div', { class: 'poster' }, h('div', { class: 'poster-fallback' }, icon(fallback)), image);
  let wanted = '';
  return {
    element,
    show(url) {
      if (url === wanted) return;
      wanted = url;
      if (url === '') { image.hidden = true; return; }
      const next = new Image();
      next.addEventListener('load', () => {
        if (wanted !== url) return;
        image.src = url;
        image.hidden = false;
      });
      // A poster that is missing (yet) leaves what is shown as it is.
      next.src = url;
    },
  };
}

/** The poster's address in the ten seconds around now: the server makes a new picture about as often. */
export function freshPoster(url: string, nowMs: number): string {
  if (url === '') return '';
  return `${url}${url.includes('?') ? '&' : '?'}t=${Math.floor(nowMs / 10_000)}`;
}
