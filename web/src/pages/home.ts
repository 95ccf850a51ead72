import { fetchLive, fetchRecordings, type LiveStream, type Recording } from '../api.js';
import { h, setText } from '../dom.js';
import { icon } from '../icons.js';
import { Poller } from '../poller.js';
import { createLiveCard, createRecordingCard } from './card.js';
import { CardList } from './card_list.js';
import { goLiveSteps } from './go_live.js';
import { setTitle, whileVisible, type Page } from './page.js';

const liveEveryMs = 4000;
const recordingsEveryMs = 15_000;
const tickMs = 1000;

/** What is live, how to go live, and what was recorded. */
export function homePage(): Page {
  setTitle('');
  const problem = problemBar();
  const live = liveSection(problem);
  const recordings = recordingSection();
  const element = h('div', { class: 'home' },
    h('h1', { class: 'visually-hidden' }, 'Nova'), problem.element, live.element, recordings.element);

  let timer: ReturnType<typeof setInterval> | undefined;
  const end = whileVisible(
    () => {
      live.poller.start();
      recordings.poller.start();
      timer = setInterval(() => {
        live.tick(new Date());
        recordings.tick(new Date());
      }, tickMs);
    },
    () => {
      live.poller.stop();
      recordings.poller.stop();
      clearInterval(timer);
    },
  );
  return { element, destroy: end };
}

interface Section {
  readonly element: HTMLElement;
  readonly poller: Poller<unknown>;
  tick(now: Date): void;
}

interface ProblemBar {
  readonly element: HTMLElement;
  show(retryInMs: number): void;
  hide(): void;
}

function problemBar(): ProblemBar {
  const words = h('span', {});
  const element = h('p', { class: 'problem', role: 'status', hidden: true }, icon('alert'), words);
  return {
    element,
    show(retryInMs) {
      setText(words, `The server does not answer. Trying again in ${Math.max(Math.round(retryInMs / 1000), 1)} s.`);
      element.hidden = false;
    },
    hide: () => { element.hidden = true; },
  };
}

function liveSection(problem: ProblemBar): Section {
  const count = h('span', { class: 'section-count' });
  const grid = h('div', { class: 'grid grid-live' }, skeleton());
  const empty = emptyState();
  const help = h('details', { class: 'go-live', hidden: true },
    h('summary', { class: 'button button-quiet' }, icon('broadcast'), 'Go live'), h('div', { class: 'panel' }, goLiveSteps()));
  const element = h('section', { class: 'section', 'aria-labelledby': 'live-heading' },
    h('div', { class: 'section-head' }, h('h2', { id: 'live-heading' }, 'Live now', count), help), grid, empty);
  const cards = new CardList<LiveStream>(grid, (stream) => stream.playbackId, createLiveCard);
  let known = false;

  const value = (streams: LiveStream[]): void => {
    problem.hide();
    if (!known) grid.replaceChildren();
    known = true;
    cards.update(streams);
    grid.hidden = streams.length === 0;
    grid.classList.toggle('grid-one', streams.length === 1);
    empty.hidden = streams.length > 0;
    help.hidden = streams.length === 0;
    setText(count, streams.length > 1 ? String(streams.length) : '');
  };
  const failed = (_: unknown, retryInMs: number): void => problem.show(retryInMs);
  return { element, poller: new Poller(fetchLive, liveEveryMs, { value, failed }), tick: (now) => cards.tick(now) };
}

function recordingSection(): Section {
  const grid = h('div', { class: 'grid' });
  const problem = h('p', { class: 'section-problem', role: 'status', hidden: true });
  const element = h('section', { class: 'section', 'aria-labelledby': 'recordings-heading', hidden: true },
    h('div', { class: 'section-head' }, h('h2', { id: 'recordings-heading' }, 'Recordings')), problem, grid);
  const cards = new CardList<Recording>(grid, (recording) => recording.videoId, createRecordingCard);

  const value = (recordings: Recording[]): void => {
    problem.hidden = true;
    cards.update(recordings);
    element.hidden = recordings.length === 0;
  };
  // Live streams do without the storage that recordings are in. A list that is shown already stays as it is.
  const failed = (): void => {
    if (!element.hidden) return;
    setText(problem, 'The recordings cannot be listed now.');
    element.hidden = problem.hidden = false;
  };
  const poller = new Poller(fetchRecordings, recordingsEveryMs, { value, failed });
  return { element, poller, tick: (now) => cards.tick(now) };
}

function emptyState(): HTMLElement {
  return h('div', { class: 'empty', hidden: true },
    h('div', { class: 'empty-mark' }, icon('broadcast')),
    h('p', { class: 'empty-title' }, 'Nobody is live yet'),
    h('p', { class: 'empty-text' }, 'Start a broadcast and it shows up here within seconds.'),
    goLiveSteps());
}

function skeleton(): HTMLElement {
  return h('div', { class: 'card skeleton', 'aria-hidden': 'true' },
    h('div', { class: 'card-picture' }), h('div', { class: 'card-text' }, h('span', {}), h('span', {})));
}
