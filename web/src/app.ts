import { h } from './dom.js';
import { logoMark } from './icons.js';
import { homePage } from './pages/home.js';
import { missingPage } from './pages/missing.js';
import type { Page } from './pages/page.js';
import { watchPage } from './pages/watch.js';
import { parseRoute, type Route } from './routes.js';

/** The frame around every page, and the way from one to the next without a reload. */
export class App {
  private page: Page | null = null;
  private readonly main = h('main', { id: 'main', tabindex: '-1' });

  constructor(root: HTMLElement) {
    root.append(h('a', { class: 'skip-link', href: '#main' }, 'Skip to content'), header(), this.main);
    document.addEventListener('click', (event) => this.onClick(event));
    window.addEventListener('popstate', () => this.show());
    this.show();
  }

  private onClick(event: MouseEvent): void {
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (link === null || !plain || event.defaultPrevented || !isPage(link)) return;
    event.preventDefault();
    if (link.pathname === location.pathname) return;
    history.pushState(null, '', link.href);
    this.show();
    this.main.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }

  private show(): void {
    this.page?.destroy();
    this.page = pageFor(parseRoute(location.pathname));
    this.main.replaceChildren(this.page.element);
  }
}

function pageFor(route: Route): Page {
  switch (route.page) {
    case 'home': return homePage();
    case 'watch': return watchPage({ kind: 'live', id: route.playbackId });
    case 'recording': return watchPage({ kind: 'recording', id: route.videoId });
    case 'missing': return missingPage();
  }
}

function isPage(link: HTMLAnchorElement): boolean {
  const here = link.origin === location.origin && link.target === '' && link.hash === '';
  return here && parseRoute(link.pathname).page !== 'missing';
}

function header(): HTMLElement {
  return h('header', { class: 'site-header' },
    h('a', { class: 'logo', href: '/', 'aria-label': 'Nova, to the start page' }, logoMark(), h('span', {}, 'Nova')));
}
