// The API as the page uses it: answers are checked and put into the page's own words here, once.
import { livePlaylist, recordingPlaylist } from './routes.js';

export interface Rendition {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  /** Bits a second; 0 when unknown. */
  readonly bitrate: number;
}

export interface LiveStream {
  readonly playbackId: string;
  readonly title: string;
  readonly startedAt: Date | null;
  readonly hlsUrl: string;
  /** Empty when there is none. */
  readonly posterUrl: string;
  readonly renditions: readonly Rendition[];
}

export interface Recording {
  readonly videoId: string;
  readonly playbackId: string;
  readonly title: string;
  readonly startedAt: Date | null;
  readonly durationSeconds: number;
  readonly hlsUrl: string;
  /** Empty when there is none. */
  readonly posterUrl: string;
}

type JSONObject = Readonly<Record<string, unknown>>;

const timeoutMs = 8000;

/** What is live now, as the server orders it. */
export async function fetchLive(signal: AbortSignal): Promise<LiveStream[]> {
  return parseLive(await fetchJSON('/api/v2/live', signal));
}

/** Finished broadcasts, newest first. */
export async function fetchRecordings(signal: AbortSignal): Promise<Recording[]> {
  return parseRecordings(await fetchJSON('/api/v2/recordings', signal));
}

export function parseLive(answer: unknown): LiveStream[] {
  return list(answer, 'streams').flatMap((item) => {
    const playbackId = text(item['playback_id']);
    if (playbackId === '') return [];
    return [{
      playbackId,
      title: text(item['title']) || playbackId,
      startedAt: date(item['started_at']),
      hlsUrl: address(item['hls_url']) || livePlaylist(playbackId),
      posterUrl: address(item['poster_url']),
      renditions: list(item, 'renditions').map(parseRendition).sort((a, b) => b.height - a.height),
    }];
  });
}

export function parseRecordings(answer: unknown): Recording[] {
  return list(answer, 'recordings').flatMap((item) => {
    const videoId = text(item['video_id']);
    if (videoId === '') return [];
    const playbackId = text(item['playback_id']);
    return [{
      videoId,
      playbackId,
      title: text(item['title']) || playbackId || videoId,
      startedAt: date(item['started_at']),
      durationSeconds: count(item['duration_seconds']),
      hlsUrl: address(item['hls_url']) || recordingPlaylist(videoId),
      posterUrl: address(item['poster_url']),
    }];
  });
}

function parseRendition(item: JSONObject): Rendition {
  return {
    name: text(item['name']),
    width: count(item['width']),
    height: count(item['height']),
    bitrate: count(item['bitrate']),
  };
}

async function fetchJSON(path: string, signal: AbortSignal): Promise<unknown> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), timeoutMs);
  const abort = () => late.abort();
  signal.addEventListener('abort', abort);
  try {
    const response = await fetch(path, { signal: late.signal, headers: { accept: 'application/json' } });
    if (!response.ok) throw new Error(`${path} answered ${response.status}`);
    return await response.json();
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}

function list(value: unknown, field: string): JSONObject[] {
  const items: unknown = object(value)[field];
  return Array.isArray(items) ? items.map(object) : [];
}

function object(value: unknown): JSONObject {
  return typeof value === 'object' && value !== null ? (value as JSONObject) : {};
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

// Numbers may come as JSON strings: protobuf writes 64-bit integers so.
function count(value: unknown): number {
  const n = typeof value === 'string' && value !== '' ? Number(value) : value;
  return typeof n === 'number' && Number.isFinite(n) && n > 0 ? n : 0;
}

function date(value: unknown): Date | null {
  const at = typeof value === 'string' ? new Date(value) : null;
  return at !== null && Number.isFinite(at.getTime()) ? at : null;
}

// Media comes from the page's own origin (its Content-Security-Policy says so): only paths pass, "//host" and
// "/\host", which browsers read alike, do not.
function address(value: unknown): string {
  const path = text(value);
  return /^\/(?![/\\])/.test(path) ? path : '';
}
