import { h } from '../dom.js';
import { setTitle, type Page } from './page.js';

export function missingPage(): Page {
  setTitle('Not found');
  const element = h('section', { class: 'missing' },
    h('h1', {}, 'There is no such page'),
    h('p', {}, 'The address may be mistyped, or what was here is gone.'),
    h('a', { class: 'button', href: '/' }, 'See what is live'));
  return { element, destroy: () => undefined };
}
