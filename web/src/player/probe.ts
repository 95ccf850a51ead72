// Looks at the playlists before (and beside) the engine, so that "not live yet" and "over" are states, not errors.

export type Probe =
  | { readonly kind: 'absent' } // nothing under this address now
  | { readonly kind: 'unreachable'; readonly reason: string }
  | { readonly kind: 'live'; readonly mark: string } // mark changes whenever the playlist does
  | { readonly kind: 'complete' }; // EXT-X-ENDLIST

/** Where the first media playlist of a multivariant playlist is; null when the text is itself a media playlist. */
export function firstVariant(text: string): string | null {
  const lines = text.split('\n').map((line) => line.trim());
  const at = lines.findIndex((line) => line.startsWith('#EXT-X-STREAM-INF'));
  if (at < 0) return null;
  return lines.slice(at + 1).find((line) => line !== '' && !line.startsWith('#')) ?? null;
}

/** What a media playlist says about its stream. */
export function readMediaPlaylist(text: string): Probe {
  const lines = text.split('\n').map((line) => line.trim());
  if (lines[0] !== '#EXTM3U') return { kind: 'unreachable', reason: 'the answer is not a playlist' };
  if (lines.includes('#EXT-X-ENDLIST')) return { kind: 'complete' };
  const media = lines.filter((line) => (line !== '' && !line.startsWith('#')) || line.startsWith('#EXT-X-PART:'));
  return { kind: 'live', mark: media.at(-1) ?? '' };
}

/** Asks for the playlist and its first variant. Rejects only when the signal aborts. */
export async function probe(playlist: string, signal: AbortSignal): Promise<Probe> {
  try {
    const main = await fetchText(playlist, signal);
    if (typeof main !== 'string') return main;
    const variant = firstVariant(main);
    if (variant === null) return readMediaPlaylist(main);
    const media = await fetchText(new URL(variant, new URL(playlist, location.href)).href, signal);
    return typeof media === 'string' ? readMediaPlaylist(media) : media;
  } catch (error) {
    if (signal.aborted) throw error;
    return { kind: 'unreachable', reason: 'the server does not answer' };
  }
}

async function fetchText(url: string, signal: AbortSignal): Promise<string | Probe> {
  const response = await fetch(url, { signal, cache: 'no-store' });
  if (response.status === 404 || response.status === 410) return { kind: 'absent' };
  if (!response.ok) return { kind: 'unreachable', reason: `the server answers ${response.status}` };
  return response.text();
}
