import { fetchLive, fetchRecordings, type LiveStream, type Recording } from '../api.js';
import { h, setText } from '../dom.js';
import { ago, clock, uptime } from '../format.js';
import { icon } from '../icons.js';
import { createPlayerView } from '../player/view.js';
import { Poller } from '../poller.js';
import { livePlaylist, livePoster, recordingPath, recordingPlaylist } from '../routes.js';
import { renditionNames } from './card.js';
import { copyButton } from './copy.js';
import { setTitle, whileVisible, type Page } from './page.js';

const detailsEveryMs = 10_000;
const sameStartMs = 10_000; // the list and the recording may take the start at different moments

export interface Subject {
  readonly kind: 'live' | 'recording';
  readonly id: string;
}

interface Details {
  readonly title: string;
  readonly line: string;
  readonly posterUrl: string;
}

/** The player with the title, the share button and, for an ended broadcast, the way to its recording. */
export function watchPage(subject: Subject): Page {
  const live = subject.kind === 'live';
  const view = createPlayerView({
    kind: subject.kind,
    playlist: live ? livePlaylist(subject.id) : recordingPlaylist(subject.id),
  });
  const title = h('h1', { class: 'watch-title' }, subject.id);
  const line = h('p', { class: 'watch-line' });
  const recording = h('a', { class: 'button', hidden: true }, icon('film'), 'Watch the recording');
  const element = h('div', { class: 'watch' },
    h('div', { class: 'watch-stage' }, view.element),
    h('div', { class: 'watch-about' },
      h('div', { class: 'watch-words' }, title, line),
      h('div', { class: 'watch-actions' }, recording,
        copyButton('link', 'Copy link', 'button button-quiet', () => location.origin + location.pathname))),
    h('a', { class: 'watch-back', href: '/' }, icon('back'), 'All streams'));

  setTitle(subject.id);
  if (live) view.setPoster(livePoster(subject.id));
  const show = (details: Details): void => {
    setText(title, details.title);
    setTitle(details.title);
    setText(line, details.line);
    view.setPoster(details.posterUrl);
  };
  const offerRecording = (found: Recording | undefined): void => {
    recording.hidden = found === undefined;
    if (found !== undefined) recording.href = recordingPath(found.videoId);
  };
  const ended = (): boolean => view.player.state === 'ended';
  const poller = live ? livePoller(subject.id, show, ended, offerRecording) : recordingPoller(subject.id, show);
  let wasEnded = false;
  view.player.onChange(() => {
    // "Live · 5 min" under a broadcast that is away would be wrong.
    line.hidden = live && view.player.state !== 'ready';
    if (ended() !== wasEnded) poller.start();
    wasEnded = ended();
  });
  const end = whileVisible(() => poller.start(), () => poller.stop());
  return {
    element,
    destroy() {
      end();
      view.destroy();
    },
  };
}

/** Keeps the title and the uptime fresh, and looks for the recording once the broadcast has ended. */
function livePoller(
  id: string, show: (details: Details) => void, ended: () => boolean, offer: (found: Recording | undefined) => void,
): Poller<unknown> {
  let startedAt: Date | null = null;
  const load = async (signal: AbortSignal): Promise<[LiveStream | undefined, Recording | undefined]> => {
    const stream = (await fetchLive(signal)).find((candidate) => candidate.playbackId === id);
    startedAt = stream?.startedAt ?? startedAt;
    if (!ended()) return [stream, undefined];
    const recordings = await fetchRecordings(signal);
    return [stream, recordings.find((candidate) => candidate.playbackId === id && isOf(candidate, startedAt))];
  };
  return new Poller(load, detailsEveryMs, {
    value: ([stream, recording]) => {
      if (stream !== undefined) show(liveDetails(stream));
      offer(recording);
    },
    // The player says what is wrong; the title can wait.
    failed: () => undefined,
  });
}

/** Whether a recording is of the broadcast that began then, and not of an earlier one. */
function isOf(recording: Recording, startedAt: Date | null): boolean {
  if (startedAt === null || recording.startedAt === null) return true;
  return recording.startedAt.getTime() > startedAt.getTime() - sameStartMs;
}

function recordingPoller(id: string, show: (details: Details) => void): Poller<unknown> {
  const poller: Poller<Recording[]> = new Poller(fetchRecordings, detailsEveryMs, {
    value: (recordings) => {
      const found = recordings.find((candidate) => candidate.videoId === id);
      if (found === undefined) return;
      show(recordingDetails(found));
      poller.stop(); // a recording does not change
    },
    failed: () => undefined,
  });
  return poller;
}

function liveDetails(stream: LiveStream): Details {
  const since = stream.startedAt === null ? '' : `Live · ${uptime(stream.startedAt, new Date())}`;
  const line = [since, renditionNames(stream.renditions).join(', ')].filter((part) => part !== '').join(' · ');
  return { title: stream.title, line, posterUrl: stream.posterUrl };
}

function recordingDetails(recording: Recording): Details {
  const when = recording.startedAt === null ? '' : `Recorded ${ago(recording.startedAt, new Date())}`;
  const length = recording.durationSeconds > 0 ? clock(recording.durationSeconds) : '';
  return {
    title: recording.title,
    line: [when, length].filter((part) => part !== '').join(' · '),
    posterUrl: recording.posterUrl,
  };
}
