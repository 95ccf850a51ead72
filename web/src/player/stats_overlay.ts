import { bitrate, seconds } from '../format.js';
import { h, setText } from '../dom.js';
import { rungName } from './levels.js';
import type { Player } from './player.js';
import type { PlayerStats } from './stats.js';

const refreshMs = 500;

export interface StatsOverlay {
  readonly element: HTMLElement;
  toggle(): void;
  /** Calls listener with whether the figures are shown, after each toggle. */
  onToggle(listener: (shown: boolean) => void): void;
  destroy(): void;
}

/** Figures over the picture, refreshed twice a second while they are shown. */
export function createStatsOverlay(player: Player): StatsOverlay {
  const list = h('dl', { class: 'stats-list' });
  const element = h('section', { class: 'stats', 'aria-label': 'Playback figures', hidden: true }, list);
  const values = new Map<string, HTMLElement>();
  const listeners: ((shown: boolean) => void)[] = [];
  let timer: ReturnType<typeof setInterval> | undefined;

  const render = (): void => {
    for (const [name, value] of rows(player)) {
      let cell = values.get(name);
      if (cell === undefined) {
        cell = h('dd', {});
        values.set(name, cell);
        list.append(h('dt', {}, name), cell);
      }
      setText(cell, value);
    }
  };
  return {
    element,
    onToggle: (listener) => listeners.push(listener),
    toggle() {
      element.hidden = !element.hidden;
      clearInterval(timer);
      for (const listener of listeners) listener(!element.hidden);
      if (element.hidden) return;
      render();
      timer = setInterval(render, refreshMs);
    },
    destroy: () => clearInterval(timer),
  };
}

function rows(player: Player): [string, string][] {
  const stats = player.stats();
  const live: [string, string][] = player.source.kind === 'live' ? [['Latency', latencyText(stats)]] : [];
  return [
    ...live,
    ['Buffer', seconds(stats.buffer)],
    ['Resolution', stats.width > 0 ? `${stats.width} × ${stats.height}` : '–'],
    ['Level', levelText(player)],
    ['Bandwidth', stats.bandwidth === null ? '–' : bitrate(stats.bandwidth)],
    ['Dropped', `${stats.droppedFrames} of ${stats.totalFrames} frames`],
    ['Stalls', stats.stalls === 0 ? 'none' : `${stats.stalls} (${seconds(stats.stalledMs / 1000)})`],
    ['Speed', `${stats.playbackRate.toFixed(2)}×`],
    ['Errors', `${player.errors} (${player.fatalErrors} fatal)`],
  ];
}

function latencyText(stats: PlayerStats): string {
  const edge = stats.edgeLatency;
  return edge === null || edge === stats.latency
    ? seconds(stats.latency)
    : `${seconds(stats.latency)} (edge ${seconds(edge)})`;
}

function levelText(player: Player): string {
  const rung = player.rungs.find((candidate) => candidate.index === player.currentRung);
  if (rung === undefined) return '–';
  const choice = player.selectedRung === null ? 'auto' : 'chosen';
  return [rungName(rung), bitrate(rung.bitrate), choice].filter((part) => part !== '').join(' · ');
}
