// Numbers and times as people read them. Pure.

/** A position or length as a clock: 0:07, 12:34, 1:02:03. Not a number, negative or endless reads as 0:00. */
export function clock(seconds: number): string {
  const total = Number.isFinite(seconds) && seconds > 0 ? Math.floor(seconds) : 0;
  const s = String(total % 60).padStart(2, '0');
  const minutes = Math.floor(total / 60);
  if (minutes < 60) return `${minutes}:${s}`;
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, '0')}:${s}`;
}

/** A length in words, for screen readers: "1 hour 2 minutes 3 seconds". */
export function clockInWords(seconds: number): string {
  const total = Number.isFinite(seconds) && seconds > 0 ? Math.floor(seconds) : 0;
  const parts: [number, string][] = [
    [Math.floor(total / 3600), 'hour'],
    [Math.floor(total / 60) % 60, 'minute'],
    [total % 60, 'second'],
  ];
  const words = parts.filter(([n]) => n > 0).map(([n, unit]) => `${n} ${unit}${n === 1 ? '' : 's'}`);
  return words.join(' ') || '0 seconds';
}

/** How long something has gone on: "just started", "12 min", "2 h 05 min". */
export function uptime(startedAt: Date, now: Date): string {
  const minutes = Math.floor((now.getTime() - startedAt.getTime()) / 60_000);
  if (!(minutes >= 1)) return 'just started';
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, '0')} min`;
  return `${Math.floor(hours / 24)} days`;
}

/** How long ago something was: "just now", "5 min ago", "3 h ago", "yesterday", then the date. */
export function ago(then: Date, now: Date): string {
  const minutes = Math.floor((now.getTime() - then.getTime()) / 60_000);
  if (!(minutes >= 1)) return 'just now';
  if (minutes < 60) return `${minutes} min ago`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ago`;
  if (hours < 48) return 'yesterday';
  if (hours < 24 * 7) return `${Math.floor(hours / 24)} days ago`;
  return then.toLocaleDateString(undefined, { year: 'numeric', month: 'short', day: 'numeric' });
}

/** Bits a second: "64 kbps", "4.5 Mbps"; empty when unknown. */
export function bitrate(bitsPerSecond: number): string {
  if (!(bitsPerSecond > 0)) return '';
  if (bitsPerSecond < 999_500) return `${Math.round(bitsPerSecond / 1000)} kbps`;
  const megabits = bitsPerSecond / 1e6;
  return `${megabits < 10 ? megabits.toFixed(1) : Math.round(megabits)} Mbps`;
}

/** Seconds with one decimal: "2.4 s"; a dash when unknown. */
export function seconds(value: number | null): string {
  return value === null || !Number.isFinite(value) ? '–' : `${value.toFixed(1)} s`;
}
