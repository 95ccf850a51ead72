// Watches a live stream of a running Nova as a viewer does and says in one line of JSON how it went.
//
//   node web/e2e/watch.mjs BASE_URL PLAYBACK_ID [SECONDS=20] [SCREENSHOT_DIR] [--levels=3] [--start=30] [--still=1]
//
//   --levels  fewest quality levels that the stream must offer
//   --start   seconds that playback may take to begin
//   --still   one-second samples in which the position may stand still
//
// Exit code 0 when all held, 1 when something did not ("failures" names it), 2 for wrong arguments.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { collectProblems, desktop, launch, openContext, openPhone, patienceMs, readPlayer, waitForPlayer } from './browser.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    levels: { type: 'string', default: '3' },
    start: { type: 'string', default: '30' },
    still: { type: 'string', default: '1' },
  },
});
const [base, playbackId, secondsText = '20', shots = ''] = positionals;
const [seconds, minLevels, startSeconds, stillAllowed] = [secondsText, values.levels, values.start, values.still].map(Number);
if (!base || !playbackId || ![seconds, minLevels, startSeconds, stillAllowed].every((n) => Number.isFinite(n) && n >= 0)) {
  console.error('usage: watch.mjs BASE_URL PLAYBACK_ID [SECONDS] [SCREENSHOT_DIR] [--levels=N] [--start=SECONDS] [--still=N]');
  process.exit(2);
}

const result = { ok: false, failures: [], screenshots: [] };
const expect = (held, failure) => held || result.failures.push(failure);
const address = (path) => new URL(path, base).href;

const browser = await launch();
try {
  await watch();
} catch (error) {
  result.failures.push(error.message.split('\n')[0]);
} finally {
  await browser.close();
}
result.ok = result.failures.length === 0;
console.log(JSON.stringify(result));
process.exitCode = result.ok ? 0 : 1;

async function watch() {
  const context = await openContext(browser, desktop, { colorScheme: 'dark' });
  const page = await context.newPage();
  const problems = collectProblems(page);
  await page.goto(address(`/watch/${encodeURIComponent(playbackId)}`));
  try {
    await playFor(page);
    await page.locator('.player').hover(); // shows the controls
    await page.waitForTimeout(400); // and fades them in
    await screenshot(page, 'watch-desktop');
    await switchQuality(page);
  } catch (error) {
    await screenshot(page, 'watch-failed');
    throw error;
  } finally {
    await summarise(page, problems);
  }
  await page.goto(address('/'));
  await showList(page, 'list-desktop');
  await context.close();
  await lookOnPhone();
}

async function playFor(page) {
  const began = Date.now();
  await waitForPlayer(page, 'playback begins', (p) => p.state === 'ready' && !p.paused && p.currentTime > 0 && p.stats.totalFrames > 0,
    startSeconds * 1000);
  result.startMs = Date.now() - began;
  result.positions = [await position(page)];
  for (let second = 0; second < seconds; second++) {
    await page.waitForTimeout(1000);
    result.positions.push(await position(page));
  }
  const steps = result.positions.slice(1).map((at, i) => at - result.positions[i]);
  result.stillSeconds = steps.filter((step) => step <= 0).length;
  expect(result.stillSeconds <= stillAllowed, `currentTime did not rise in ${result.stillSeconds} of ${seconds} seconds`);
}

async function position(page) {
  return Number((await readPlayer(page)).currentTime.toFixed(3));
}

/** Chooses the lowest or, when that plays, the highest level in the menu and sees that playback goes on in it. */
async function switchQuality(page) {
  const before = await readPlayer(page);
  result.levels = before.levels.map(({ name, width, height, bitrate }) => ({ name, width, height, bitrate }));
  expect(before.levels.length >= minLevels, `${before.levels.length} quality levels, wanted ${minLevels}`);
  if (before.levels.length < 2) return;
  const byHeight = [...before.levels].sort((a, b) => a.height - b.height);
  const target = byHeight[0].index === before.level ? byHeight.at(-1) : byHeight[0];
  await page.locator('.player').hover();
  await page.locator('.quality-button').click();
  await screenshot(page, 'watch-menu');
  await page.locator(`.menu-item[data-level="${target.index}"]`).click();
  const after = await waitForPlayer(page, `quality switches to ${target.name}`,
    (p) => p.selectedLevel === target.index && p.level === target.index && p.currentTime > before.currentTime);
  const later = await waitForPlayer(page, `playback goes on in ${target.name}`,
    (p) => p.currentTime > after.currentTime + 2 && p.stats.height === target.height);
  result.switched = { from: before.level, to: later.level, height: later.stats.height };
}

async function summarise(page, problems) {
  const player = await readPlayer(page);
  result.errors = player?.errors ?? null;
  result.fatalErrors = player?.fatalErrors ?? null;
  result.stats = player?.stats ?? null;
  result.problems = problems;
  expect(player !== null, 'the page shows no player');
  expect((player?.fatalErrors ?? 0) === 0, `${player?.fatalErrors} fatal hls.js errors`);
  expect(problems.length === 0, `the page reports: ${problems.join('; ')}`);
}

async function showList(page, name) {
  const card = page.locator(`.card-live[href="/watch/${playbackId}"]`);
  await card.waitFor({ timeout: patienceMs });
  // The poster may take its ten seconds; the picture of the page is no less true without.
  await card.locator('.poster-image:not([hidden])').waitFor({ timeout: 12_000 }).catch(() => undefined);
  await screenshot(page, name);
}

async function lookOnPhone() {
  const context = await openPhone(browser, { colorScheme: 'light' });
  const page = await context.newPage();
  await page.goto(address('/'));
  await showList(page, 'list-phone');
  await page.locator(`.card-live[href="/watch/${playbackId}"]`).tap();
  await waitForPlayer(page, 'playback begins on a phone', (p) => p.currentTime > 0 && !p.paused, startSeconds * 1000);
  await page.waitForTimeout(1500);
  await screenshot(page, 'watch-phone');
  await context.close();
}

async function screenshot(page, name) {
  if (shots === '') return;
  await mkdir(shots, { recursive: true });
  const path = join(shots, `${name}.png`);
  await page.screenshot({ path });
  result.screenshots.push(path);
}
