import { h } from '../dom.js';
import { icon, type IconName } from '../icons.js';

const shownMs = 2000;

/** A button that puts text() on the clipboard and says so for a moment. */
export function copyButton(name: IconName, label: string, className: string, text: () => string): HTMLButtonElement {
  const words = h('span', { 'aria-live': 'polite' }, label);
  const button = h('button', { class: className, type: 'button', onclick: () => void copy() }, icon(name), words);
  let timer: ReturnType<typeof setTimeout> | undefined;

  async function copy(): Promise<void> {
    const done = await copyText(text());
    button.replaceChildren(icon(done ? 'check' : 'alert'), words);
    words.textContent = done ? 'Copied' : 'Cannot copy';
    clearTimeout(timer);
    timer = setTimeout(() => {
      button.replaceChildren(icon(name), words);
      words.textContent = label;
    }, shownMs);
  }
  return button;
}

async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text); // over plain HTTP in a home network there is no clipboard object
  }
}

function copyBySelection(text: string): boolean {
  const area = h('textarea', { class: 'visually-hidden', readonly: true });
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  return done;
}
