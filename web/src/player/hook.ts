import type { Player, PlayerState } from './player.js';
import { rungName } from './levels.js';
import type { PlayerStats } from './stats.js';

/**
 * What window.__nova.player tells tests and support: plain values, read anew at each access.
 * The shape is documented in web/README.md; keep the two in step.
 */
export interface PlayerHook {
  readonly state: PlayerState;
  readonly paused: boolean;
  /** Seconds. */
  readonly currentTime: number;
  readonly errors: number;
  readonly fatalErrors: number;
  readonly lastError: string;
  readonly levels: readonly { index: number; name: string; width: number; height: number; bitrate: number }[];
  /** Index of the level on the screen, null when not known. */
  readonly level: number | null;
  /** Index of the level that the viewer chose, null for automatic. */
  readonly selectedLevel: number | null;
  readonly stats: PlayerStats;
}

declare global {
  interface Window {
    __nova?: { player: PlayerHook | null };
  }
}

/** Shows the player under window.__nova until the returned function is called. */
export function exposeHook(player: Player): () => void {
  window.__nova = { player: hookOf(player) };
  return () => {
    window.__nova = { player: null };
  };
}

function hookOf(player: Player): PlayerHook {
  return {
    get state() { return player.state; },
    get paused() { return player.video.paused; },
    get currentTime() { return player.video.currentTime; },
    get errors() { return player.errors; },
    get fatalErrors() { return player.fatalErrors; },
    get lastError() { return player.lastError; },
    get levels() {
      return player.rungs.map((rung) => ({ ...rung, name: rungName(rung) }));
    },
    get level() { return player.currentRung; },
    get selectedLevel() { return player.selectedRung; },
    get stats() { return player.stats(); },
  };
}
