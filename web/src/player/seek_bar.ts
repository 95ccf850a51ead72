import { clock, clockInWords } from '../format.js';
import { h, setAttribute, setText } from '../dom.js';
import type { Player } from './player.js';
import { bufferAhead, rangesOf } from './stats.js';

/** The seek bar of a recording: played, buffered, and the time under the pointer. */
export function createSeekBar(player: Player): HTMLElement {
  const { video } = player;
  const range = h('input', {
    class: 'seek-range', type: 'range', min: '0', max: '0', step: '0.1', value: '0', 'aria-label': 'Position',
    oninput: () => player.seekTo(Number(range.value)),
  });
  const tip = h('output', { class: 'seek-tip', hidden: true, 'aria-hidden': 'true' });
  const bar = h('div', { class: 'seek' }, range, tip);

  const duration = (): number => (Number.isFinite(video.duration) ? video.duration : 0);
  const render = (): void => {
    const length = duration();
    const buffered = video.currentTime + bufferAhead(rangesOf(video.buffered), video.currentTime);
    setAttribute(range, 'max', String(length));
    range.value = String(video.currentTime);
    range.disabled = length === 0;
    setAttribute(range, 'aria-valuetext', `${clockInWords(video.currentTime)} of ${clockInWords(length)}`);
    bar.style.setProperty('--played', share(video.currentTime, length));
    bar.style.setProperty('--buffered', share(buffered, length));
  };
  for (const type of ['timeupdate', 'durationchange', 'progress', 'seeking', 'emptied']) {
    video.addEventListener(type, render);
  }

  range.addEventListener('pointermove', (event) => {
    const box = range.getBoundingClientRect();
    const at = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    tip.hidden = duration() === 0;
    bar.style.setProperty('--pointer', `${at * 100}%`);
    setText(tip, clock(at * duration()));
  });
  range.addEventListener('pointerleave', () => { tip.hidden = true; });
  render();
  return bar;
}

function share(part: number, whole: number): string {
  return whole > 0 ? `${Math.min((part / whole) * 100, 100)}%` : '0%';
}
