// The viewer's volume, kept from visit to visit.

export interface Volume {
  readonly level: number;
  readonly muted: boolean;
}

const key = 'nova.volume';

/** The stored volume, or null for a new viewer or where storage is closed. */
export function loadVolume(): Volume | null {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(key) ?? 'null');
    if (typeof stored !== 'object' || stored === null) return null;
    const { level, muted } = stored as Record<string, unknown>;
    if (typeof level !== 'number' || !(level >= 0 && level <= 1) || typeof muted !== 'boolean') return null;
    return { level, muted };
  } catch {
    return null; // storage is closed (private window) or holds something else
  }
}

export function saveVolume(volume: Volume): void {
  try {
    localStorage.setItem(key, JSON.stringify(volume));
  } catch {
    // The volume then lasts for this visit only.
  }
}
