import { h, setAttribute, setText } from '../dom.js';
import { icon } from '../icons.js';
import { nameRungs, qualityLabel, type NamedRung } from './levels.js';
import type { Player } from './player.js';

/** The quality button and its menu: Auto and each rung with its bitrate. Hidden while there is no choice. */
export function createQualityMenu(player: Player): HTMLElement {
  const mode = h('span', { class: 'quality-mode' });
  const name = h('span', {});
  const label = h('span', { class: 'quality-label' }, mode, name);
  const button = h('button', {
    class: 'control quality-button', type: 'button', title: 'Quality', 'aria-haspopup': 'menu',
    'aria-expanded': 'false', onclick: () => (menu.hidden ? open() : close()),
  }, icon('sliders'), h('span', { class: 'visually-hidden' }, 'Quality: '), label);
  const menu = h('div', { class: 'menu', role: 'menu', 'aria-label': 'Quality', hidden: true, onkeydown: onKey });
  const root = h('div', { class: 'quality' }, button, menu);

  const onOutside = (event: Event): void => {
    if (!root.contains(event.target as Node)) close();
  };

  function open(): void {
    renderMenu();
    menu.hidden = false;
    button.setAttribute('aria-expanded', 'true');
    menu.querySelector<HTMLElement>('[aria-checked="true"]')?.focus();
    document.addEventListener('pointerdown', onOutside);
  }

  function close(): void {
    menu.hidden = true;
    button.setAttribute('aria-expanded', 'false');
    document.removeEventListener('pointerdown', onOutside);
  }

  function choose(index: number | null): void {
    player.selectRung(index);
    close();
    button.focus();
  }

  function onKey(event: KeyboardEvent): void {
    const items = [...menu.querySelectorAll<HTMLElement>('[role="menuitemradio"]')];
    const at = items.indexOf(document.activeElement as HTMLElement);
    const move: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 };
    const target = move[event.key];
    if (target !== undefined) items.at(target % items.length)?.focus();
    else if (event.key === 'Escape') { close(); button.focus(); }
    else if (event.key !== 'Tab') return;
    else return close();
    event.preventDefault();
    event.stopPropagation();
  }

  function renderMenu(): void {
    menu.replaceChildren(
      item(player, null, 'Auto', 'adapts to your network', choose),
      ...nameRungs(player.rungs).map((rung) => item(player, rung.index, rung.name, rung.rate, choose)),
    );
  }

  player.onChange(() => {
    const names: NamedRung[] = nameRungs(player.rungs);
    root.hidden = names.length < 2;
    const shown = qualityLabel(names, player.selectedRung, player.currentRung);
    setText(mode, shown.auto && shown.name !== '' ? 'Auto · ' : '');
    setText(name, shown.name === '' ? 'Auto' : shown.name);
    setAttribute(button, 'data-level', player.currentRung === null ? null : String(player.currentRung));
    if (names.length < 2) close();
  });
  root.hidden = true;
  return root;
}

function item(
  player: Player, index: number | null, name: string, detail: string, choose: (index: number | null) => void,
): HTMLElement {
  const checked = player.selectedRung === index;
  return h('button', {
    class: 'menu-item', type: 'button', role: 'menuitemradio', 'aria-checked': String(checked), tabindex: '-1',
    'data-level': index === null ? 'auto' : String(index), onclick: () => choose(index),
  },
  h('span', { class: 'menu-check' }, checked ? icon('check') : null),
  h('span', { class: 'menu-name' }, name, index !== null && index === player.currentRung ? currentDot() : null),
  h('span', { class: 'menu-detail' }, detail));
}

function currentDot(): HTMLElement {
  return h('span', { class: 'menu-now' }, 'now');
}
