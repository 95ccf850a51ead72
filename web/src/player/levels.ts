// How rungs are named in the quality menu. Pure.
import { bitrate } from '../format.js';
import type { Rung } from './engine.js';

export interface NamedRung {
  readonly index: number;
  /** "720p", "1080p60"; "Audio only" or a bitrate where there is no picture size. */
  readonly name: string;
  /** "2.8 Mbps", empty when unknown. */
  readonly rate: string;
}

/** Rungs with their names, best first. */
export function nameRungs(rungs: readonly Rung[]): NamedRung[] {
  const best = [...rungs].sort((a, b) => b.height - a.height || b.bitrate - a.bitrate);
  return best.map((rung) => ({ index: rung.index, name: rungName(rung), rate: bitrate(rung.bitrate) }));
}

export function rungName(rung: Rung): string {
  // The short side names the rung, so that an upright 720×1280 phone picture is 720p as well.
  const lines = rung.width > 0 ? Math.min(rung.width, rung.height) : rung.height;
  if (!(lines > 0)) return 'Audio only';
  const fast = rung.frameRate > 32 ? String(Math.round(rung.frameRate)) : '';
  return `${lines}p${fast}`;
}

/** What the quality button shows: the chosen rung, or in automatic the one that plays; no name while none is known. */
export function qualityLabel(
  rungs: readonly NamedRung[], selected: number | null, current: number | null,
): { readonly auto: boolean; readonly name: string } {
  const index = selected ?? current;
  return { auto: selected === null, name: rungs.find((rung) => rung.index === index)?.name ?? '' };
}
