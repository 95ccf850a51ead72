import { h } from '../dom.js';
import { icon } from '../icons.js';
import { createControls } from './controls.js';
import { toggleFullscreen } from './fullscreen.js';
import { exposeHook } from './hook.js';
import { createNotice } from './notice.js';
import { Player, type Source } from './player.js';
import { commandFor, focusOf, type Command } from './shortcuts.js';
import { createStatsOverlay, type StatsOverlay } from './stats_overlay.js';

const idleMs = 3000;
const seekStep = 5; // seconds per arrow key
const volumeStep = 0.1;

export interface PlayerView {
  readonly element: HTMLElement;
  readonly player: Player;
  setPoster(url: string): void;
  destroy(): void;
}

/** The player with its controls, keyboard and overlays; it starts to play when it can. */
export function createPlayerView(source: Source): PlayerView {
  const video = h('video', { class: 'player-video', playsinline: true, preload: 'auto' });
  const player = new Player(video, source);
  const stats = createStatsOverlay(player);
  const element = h('section', {
    class: 'player', 'aria-label': 'Player', 'data-state': player.state, 'data-kind': source.kind,
  });
  element.append(video, createNotice(player), stats.element, bigPlay(player), unmuteHint(player),
    createControls(player, element, stats));

  const ending = new AbortController();
  player.onChange(() => element.setAttribute('data-state', player.state));
  watchIdle(element, player, ending.signal);
  watchPointer(element, player);
  watchKeys(element, player, stats, ending.signal);
  const hideHook = exposeHook(player);
  player.connect();
  return {
    element,
    player,
    setPoster: (url) => { if (url !== '' && video.poster === '') video.poster = url; },
    destroy() {
      ending.abort();
      stats.destroy();
      hideHook();
      player.destroy();
    },
  };
}

/** Shown while playback is paused at the start, as browsers do that refuse to begin by themselves. */
function bigPlay(player: Player): HTMLElement {
  const button = h('button', {
    class: 'big-play', type: 'button', 'aria-label': 'Play', onclick: () => player.togglePlay(),
  }, icon('play'));
  const render = (): void => { button.hidden = !(player.state === 'ready' && player.video.paused && !player.video.ended); };
  for (const type of ['play', 'pause', 'ended']) player.video.addEventListener(type, render);
  player.onChange(render);
  render();
  return button;
}

function unmuteHint(player: Player): HTMLElement {
  const button = h('button', { class: 'unmute', type: 'button', onclick: () => player.setMuted(false) },
    icon('muted'), 'Tap to unmute');
  const render = (): void => {
    const playing = player.state === 'ready' && !player.video.paused;
    button.hidden = !(player.offersUnmute && player.video.muted && playing);
  };
  for (const type of ['playing', 'pause', 'volumechange']) player.video.addEventListener(type, render);
  player.onChange(render);
  render();
  return button;
}

/** Hides the controls and the pointer while nobody touches them and the picture plays. */
function watchIdle(element: HTMLElement, player: Player, signal: AbortSignal): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const wake = (): void => {
    element.classList.remove('is-idle');
    clearTimeout(timer);
    timer = setTimeout(() => {
      const menuOpen = element.querySelector('.menu:not([hidden])') !== null;
      const focused = element.querySelector('.controls :focus-visible') !== null;
      if (!player.video.paused && !menuOpen && !focused) element.classList.add('is-idle');
    }, idleMs);
  };
  for (const type of ['pointermove', 'pointerdown', 'focusin', 'keydown']) element.addEventListener(type, wake);
  for (const type of ['play', 'playing', 'pause']) player.video.addEventListener(type, wake);
  element.addEventListener('pointerleave', () => {
    if (!player.video.paused) element.classList.add('is-idle');
  });
  signal.addEventListener('abort', () => clearTimeout(timer));
  wake();
}

/** A mouse click plays or pauses, a double click goes fullscreen; a finger's tap only shows or hides the controls. */
function watchPointer(element: HTMLElement, player: Player): void {
  let wasIdle = false;
  // Before watchIdle's own listener wakes the controls.
  element.addEventListener('pointerdown', () => { wasIdle = element.classList.contains('is-idle'); }, { capture: true });
  player.video.addEventListener('click', (event) => {
    const touch = event instanceof PointerEvent && event.pointerType === 'touch';
    if (!touch) player.togglePlay();
    else if (!wasIdle && !player.video.paused) element.classList.add('is-idle');
  });
  player.video.addEventListener('dblclick', () => void toggleFullscreen(element, player.video).catch(() => undefined));
}

function watchKeys(element: HTMLElement, player: Player, stats: StatsOverlay, signal: AbortSignal): void {
  document.addEventListener('keydown', (event) => {
    const modified = event.ctrlKey || event.altKey || event.metaKey;
    const command = event.defaultPrevented ? null : commandFor({ key: event.key, modified }, focusOf(event.target));
    if (command === null) return;
    if (run(command, element, player, stats)) event.preventDefault();
  }, { signal });
}

/** Returns whether the key was used; what is not used stays with the browser (arrows scroll a live page). */
function run(command: Command, element: HTMLElement, player: Player, stats: StatsOverlay): boolean {
  const { video } = player;
  const recording = player.source.kind === 'recording';
  switch (command) {
    case 'toggle-play': player.togglePlay(); return true;
    case 'toggle-mute': player.setMuted(!video.muted); return true;
    case 'fullscreen': void toggleFullscreen(element, video).catch(() => undefined); return true;
    case 'stats': stats.toggle(); return true;
    case 'back': player.seekBy(-seekStep); return recording;
    case 'forward': player.seekBy(seekStep); return recording;
    case 'louder': return changeVolume(element, player, volumeStep);
    case 'quieter': return changeVolume(element, player, -volumeStep);
  }
}

/** Up and down change the volume while the player has the focus or the whole screen; else they scroll the page. */
function changeVolume(element: HTMLElement, player: Player, step: number): boolean {
  const ours = document.fullscreenElement === element || element.contains(document.activeElement);
  if (ours) player.setVolume((player.video.muted ? 0 : player.video.volume) + step);
  return ours;
}
