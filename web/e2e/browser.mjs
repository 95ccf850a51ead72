// Starts the system's Chromium, headless, with an empty profile, and collects what goes wrong inside of it.
import { chromium } from 'playwright-core';

const flags = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export const desktop = { width: 1280, height: 800 };
export const phone = { width: 390, height: 844 };

/** The longest wait for anything that should happen soon. It bounds a failure; on a busy machine "soon" is long. */
export const patienceMs = 60_000;

/** The program: NOVA_CHROMIUM, or where Debian puts it. */
export function launch() {
  return chromium.launch({
    executablePath: process.env.NOVA_CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    chromiumSandbox: false, // tests run as root in containers
    args: flags,
  });
}

/** A context of the given size; options are playwright's. */
export function openContext(browser, viewport, options = {}) {
  return browser.newContext({ viewport, ...options });
}

export function openPhone(browser, options = {}) {
  return openContext(browser, phone, { isMobile: true, hasTouch: true, deviceScaleFactor: 2, ...options });
}

/**
 * Exceptions, console errors and Content-Security-Policy violations of a page, as text. Failed requests are left
 * out: a page that waits for a stream asks for playlists that are not there.
 */
export function collectProblems(page) {
  const problems = [];
  page.on('pageerror', (error) => problems.push(`exception: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) {
      problems.push(`console: ${message.text()}`);
    }
  });
  return problems;
}

/** What window.__nova.player says now, or null. */
export function readPlayer(page) {
  return page.evaluate(() => {
    const player = window.__nova?.player;
    if (!player) return null;
    const { state, paused, currentTime, errors, fatalErrors, lastError, levels, level, selectedLevel, stats } = player;
    return { state, paused, currentTime, errors, fatalErrors, lastError, levels, level, selectedLevel, stats };
  });
}

/** Polls until check(player) holds; rejects after timeoutMs with what was wanted and the last state. */
export async function waitForPlayer(page, what, check, timeoutMs = patienceMs) {
  const end = Date.now() + timeoutMs;
  let last = null;
  while (Date.now() < end) {
    last = await readPlayer(page);
    if (last !== null && check(last)) return last;
    await page.waitForTimeout(200);
  }
  throw new Error(`${what}: not within ${timeoutMs / 1000} s; the player says ${JSON.stringify(last)}`);
}
