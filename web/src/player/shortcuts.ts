// Keyboard: which key does what, and when a key belongs to something else. Pure.

export type Command = 'toggle-play' | 'toggle-mute' | 'fullscreen' | 'stats' | 'back' | 'forward' | 'louder' | 'quieter';

const commands: ReadonlyMap<string, Command> = new Map([
  [' ', 'toggle-play'],
  ['k', 'toggle-play'],
  ['m', 'toggle-mute'],
  ['f', 'fullscreen'],
  ['i', 'stats'],
  ['ArrowLeft', 'back'],
  ['ArrowRight', 'forward'],
  ['ArrowUp', 'louder'],
  ['ArrowDown', 'quieter'],
]);

/** What has the focus while a key is pressed. */
export type Focus = 'page' | 'button' | 'slider' | 'text';

export interface Key {
  readonly key: string;
  readonly modified: boolean;
}

/** The command that a key means, or null when it is not ours. */
export function commandFor({ key, modified }: Key, focus: Focus): Command | null {
  if (modified || focus === 'text') return null;
  const command = commands.get(key.length === 1 ? key.toLowerCase() : key) ?? null;
  if (focus === 'button' && key === ' ') return null; // the key presses the button
  if (focus === 'slider' && key.startsWith('Arrow')) return null; // the key moves the slider
  return command;
}

export function focusOf(target: EventTarget | null): Focus {
  if (!(target instanceof HTMLElement)) return 'page';
  if (target instanceof HTMLInputElement) return target.type === 'range' ? 'slider' : 'text';
  if (target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return 'text';
  return target instanceof HTMLButtonElement || target instanceof HTMLAnchorElement ? 'button' : 'page';
}
