import { clock } from '../format.js';
import { h, setAttribute, setText } from '../dom.js';
import { icon, type IconName } from '../icons.js';
import { fullscreenSupported, pictureInPictureSupported, toggleFullscreen, togglePictureInPicture } from './fullscreen.js';
import type { Player } from './player.js';
import { createQualityMenu } from './quality_menu.js';
import { createSeekBar } from './seek_bar.js';
import type { StatsOverlay } from './stats_overlay.js';

/** The bar under the picture. */
export function createControls(player: Player, container: HTMLElement, stats: StatsOverlay): HTMLElement {
  const live = player.source.kind === 'live';
  return h('div', { class: 'controls' },
    live ? null : createSeekBar(player),
    h('div', { class: 'controls-row' },
      playButton(player),
      ...volumeControls(player),
      live ? livePill(player) : timeText(player),
      h('div', { class: 'controls-gap' }),
      statsButton(stats),
      createQualityMenu(player),
      pictureInPictureSupported() ? pictureInPictureButton(player) : null,
      fullscreenSupported(player.video) ? fullscreenButton(player, container) : null,
    ));
}

interface ControlFace {
  readonly icon: IconName;
  readonly label: string;
}

/** A round button whose icon and words follow face(). */
function control(className: string, face: () => ControlFace, onclick: () => void): [HTMLButtonElement, () => void] {
  const button = h('button', { class: `control ${className}`, type: 'button', onclick });
  let shown: IconName | null = null;
  const render = (): void => {
    const now = face();
    setAttribute(button, 'aria-label', now.label);
    setAttribute(button, 'title', now.label);
    if (now.icon !== shown) button.replaceChildren(icon(now.icon));
    shown = now.icon;
  };
  render();
  return [button, render];
}

function playButton(player: Player): HTMLElement {
  const { video } = player;
  const face = (): ControlFace => {
    if (player.state === 'ended' && player.source.kind === 'recording') return { icon: 'replay', label: 'Watch again' };
    return video.paused ? { icon: 'play', label: 'Play (k)' } : { icon: 'pause', label: 'Pause (k)' };
  };
  const [button, render] = control('control-play', face, () => player.togglePlay());
  for (const type of ['play', 'pause', 'ended']) video.addEventListener(type, render);
  player.onChange(render);
  return button;
}

function volumeControls(player: Player): HTMLElement[] {
  const { video } = player;
  const face = (): ControlFace => {
    if (video.muted || video.volume === 0) return { icon: 'muted', label: 'Unmute (m)' };
    return { icon: video.volume < 0.5 ? 'quiet' : 'sound', label: 'Mute (m)' };
  };
  const [button, renderButton] = control('control-mute', face, () => player.setMuted(!video.muted));
  const slider = h('input', {
    class: 'volume', type: 'range', min: '0', max: '1', step: '0.05', 'aria-label': 'Volume',
    oninput: () => player.setVolume(Number(slider.value)),
  });
  const render = (): void => {
    const level = video.muted ? 0 : video.volume;
    renderButton();
    slider.value = String(level);
    setAttribute(slider, 'aria-valuetext', `${Math.round(level * 100)} %`);
    slider.style.setProperty('--played', `${level * 100}%`);
  };
  video.addEventListener('volumechange', render);
  render();
  return [button, slider];
}

/** LIVE in red at the live edge; else a button that goes there. */
function livePill(player: Player): HTMLElement {
  const pill = h('button', { class: 'live-pill', type: 'button', onclick: () => player.goLive() });
  const render = (): void => {
    const behind = player.behindLive;
    const playing = player.state === 'ready';
    pill.hidden = !playing;
    pill.disabled = !behind;
    pill.classList.toggle('is-behind', behind);
    setText(pill, behind ? 'Go live' : 'Live');
  };
  for (const type of ['timeupdate', 'pause', 'play', 'seeked']) player.video.addEventListener(type, render);
  player.onChange(render);
  render();
  return pill;
}

function timeText(player: Player): HTMLElement {
  const { video } = player;
  const text = h('span', { class: 'time' });
  const render = (): void => setText(text, `${clock(video.currentTime)} / ${clock(video.duration)}`);
  for (const type of ['timeupdate', 'durationchange', 'seeking', 'emptied']) video.addEventListener(type, render);
  render();
  return text;
}

function statsButton(stats: StatsOverlay): HTMLElement {
  const face = (): ControlFace => ({ icon: 'chart', label: 'Playback figures (i)' });
  const [button] = control('control-stats', face, () => stats.toggle());
  const render = (shown: boolean): void => setAttribute(button, 'aria-pressed', String(shown));
  stats.onToggle(render);
  render(false);
  return button;
}

function pictureInPictureButton(player: Player): HTMLElement {
  const [button] = control('control-pip', () => ({ icon: 'pip', label: 'Picture in picture' }), () => {
    // Refused while there is no picture yet: nothing to tell.
    togglePictureInPicture(player.video).catch(() => undefined);
  });
  return button;
}

function fullscreenButton(player: Player, container: HTMLElement): HTMLElement {
  const face = (): ControlFace => document.fullscreenElement === null
    ? { icon: 'expand', label: 'Fullscreen (f)' }
    : { icon: 'shrink', label: 'Leave fullscreen (f)' };
  const [button, render] = control('control-fullscreen', face, () => {
    toggleFullscreen(container, player.video).catch(() => undefined);
  });
  container.addEventListener('fullscreenchange', render);
  return button;
}
