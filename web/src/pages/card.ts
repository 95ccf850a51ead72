import type { LiveStream, Recording, Rendition } from '../api.js';
import { h, setText } from '../dom.js';
import { ago, clock, clockInWords, uptime } from '../format.js';
import { recordingPath, watchPath } from '../routes.js';
import { createPoster, freshPoster } from './poster.js';

export interface Card<T> {
  readonly element: HTMLElement;
  update(item: T): void;
  /** Refreshes what depends on the time of day alone. */
  tick(now: Date): void;
}

/** A live stream in the list: picture, badge, title, how long it has been live, renditions. */
export function createLiveCard(first: LiveStream): Card<LiveStream> {
  let stream = first;
  const poster = createPoster('broadcast');
  const title = h('h3', { class: 'card-title' });
  const since = h('p', { class: 'card-detail' });
  const chips = h('ul', { class: 'chips', 'aria-label': 'Qualities' });
  const element = h('a', { class: 'card card-live', href: watchPath(first.playbackId) },
    h('div', { class: 'card-picture' }, poster.element, h('span', { class: 'badge badge-live' }, 'Live')),
    h('div', { class: 'card-text' }, title, since, chips));

  const tick = (now: Date): void => {
    poster.show(freshPoster(stream.posterUrl, now.getTime()));
    setText(since, stream.startedAt === null ? 'Live now' : `Live · ${uptime(stream.startedAt, now)}`);
  };
  const update = (next: LiveStream): void => {
    stream = next;
    setText(title, next.title);
    chips.replaceChildren(...renditionNames(next.renditions).map((name) => h('li', { class: 'chip' }, name)));
    chips.hidden = next.renditions.length === 0;
    tick(new Date());
  };
  update(first);
  return { element, update, tick };
}

/** A finished broadcast in the list: picture, length, title, when it was. */
export function createRecordingCard(first: Recording): Card<Recording> {
  let recording = first;
  const poster = createPoster('film');
  const title = h('h3', { class: 'card-title' });
  const when = h('p', { class: 'card-detail' });
  const length = h('span', { class: 'badge badge-length' });
  const element = h('a', { class: 'card', href: recordingPath(first.videoId) },
    h('div', { class: 'card-picture' }, poster.element, length),
    h('div', { class: 'card-text' }, title, when));

  const tick = (now: Date): void => {
    setText(when, recording.startedAt === null ? '' : ago(recording.startedAt, now));
  };
  const update = (next: Recording): void => {
    recording = next;
    setText(title, next.title);
    poster.show(next.posterUrl);
    setText(length, clock(next.durationSeconds));
    length.setAttribute('aria-label', clockInWords(next.durationSeconds));
    length.hidden = next.durationSeconds === 0;
    tick(new Date());
  };
  update(first);
  return { element, update, tick };
}

/** The names of renditions by their lines, each once: the source and a rung of its size are one choice to a viewer. */
export function renditionNames(renditions: readonly Rendition[]): string[] {
  const names = renditions.map((r) => (r.height > 0 ? `${Math.min(r.height, r.width || r.height)}p` : ''));
  return [...new Set(names.filter((name) => name !== ''))];
}
