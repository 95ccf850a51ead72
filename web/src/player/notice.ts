import { h, setText } from '../dom.js';
import { icon, type IconName } from '../icons.js';
import type { Player } from './player.js';

interface Message {
  readonly icon: IconName | null;
  readonly title: string;
  readonly detail: string;
  readonly retry?: boolean;
  readonly replay?: boolean;
}

/** What lies over the picture while there is none: a spinner, or what happened and what comes next. */
export function createNotice(player: Player): HTMLElement {
  const mark = h('div', { class: 'notice-mark' });
  const title = h('p', { class: 'notice-title' });
  const detail = h('p', { class: 'notice-detail' });
  const retry = h('button', { class: 'button', type: 'button', onclick: () => player.connect() }, 'Try again');
  const replay = h('button', { class: 'button', type: 'button', onclick: () => player.togglePlay() },
    icon('replay'), 'Watch again');
  const spinner = h('div', { class: 'spinner', 'aria-hidden': 'true' });
  const words = h('div', { class: 'notice-words', role: 'status' }, mark, title, detail);
  const notice = h('div', { class: 'notice' }, spinner, words, retry, replay);

  let shownIcon: IconName | null = null;
  const render = (): void => {
    const message = messageFor(player);
    const busy = message === null && isBusy(player);
    notice.hidden = message === null && !busy;
    notice.classList.toggle('notice-opaque', message !== null);
    spinner.hidden = !busy;
    retry.hidden = message?.retry !== true;
    replay.hidden = message?.replay !== true;
    if (message !== null && message.icon !== shownIcon) {
      mark.replaceChildren(...(message.icon === null ? [] : [icon(message.icon)]));
      shownIcon = message.icon;
    }
    words.hidden = message === null;
    setText(title, message?.title ?? '');
    setText(detail, message?.detail ?? '');
  };
  player.onChange(render);
  for (const type of ['waiting', 'playing', 'seeking', 'seeked', 'pause', 'canplay']) {
    player.video.addEventListener(type, render);
  }
  render();
  return notice;
}

function isBusy(player: Player): boolean {
  if (player.state === 'connecting') return true;
  const { video } = player;
  // HAVE_FUTURE_DATA: less means that the next frame is still on its way.
  return player.state === 'ready' && !video.paused && !video.ended && video.readyState < 3;
}

function messageFor(player: Player): Message | null {
  switch (player.state) {
    case 'connecting':
    case 'ready':
      return null;
    case 'waiting':
      return {
        icon: 'broadcast',
        title: 'Not live right now',
        detail: 'Playback starts by itself as soon as the broadcast does.',
      };
    case 'interrupted':
      return {
        icon: 'broadcast',
        title: 'The broadcast is interrupted',
        detail: 'Waiting for the broadcaster to come back…',
      };
    case 'ended':
      return player.source.kind === 'live'
        ? { icon: 'check', title: 'The broadcast has ended', detail: 'If it returns, it plays here by itself.' }
        : { icon: null, title: '', detail: '', replay: true };
    case 'failed':
      return {
        icon: 'alert',
        title: 'Cannot play this now',
        detail: `${capitalised(player.reason)}. Trying again by itself…`,
        retry: true,
      };
  }
}

function capitalised(sentence: string): string {
  const plain = sentence.replace(/\.$/, '');
  return plain.charAt(0).toUpperCase() + plain.slice(1);
}
