// Checks the page against the fixture of this folder's Go test: lists, every state of the player, keys, sizes.
//
//   node web/e2e/pages.mjs BASE_URL [SCREENSHOT_DIR]
//
// Scenarios run three at a time in one browser, each in a context of its own. One line of JSON, exit code 0 or 1.
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { collectProblems, desktop, launch, openContext, openPhone, patienceMs, readPlayer, waitForPlayer } from './browser.mjs';

const [base, shots = ''] = process.argv.slice(2);
if (!base) {
  console.error('usage: pages.mjs BASE_URL [SCREENSHOT_DIR]');
  process.exit(2);
}

const address = (path) => new URL(path, base).href;
const change = (id, what) => fetch(address(`/fixture/${id}/${what}`), { method: 'POST' });
const playing = (p) => p.state === 'ready' && !p.paused && p.currentTime > 0 && p.stats.totalFrames > 0;
const inState = (state) => (p) => p.state === state;

// The longest first. More than three at a time would measure the machine instead of the page.
const scenarios = [
  interrupted, startsReturns, vanishes, restarts, keyboard, recording, listFollows, phoneSizes, serverAway, storageAway,
  wrongAddresses, emptyList,
];
const atOnce = 3;

const seconds = {};
const failures = [];
const browser = await launch();
const queue = [...scenarios];
await Promise.all(Array.from({ length: atOnce }, async () => {
  while (queue.length > 0) await runScenario(queue.shift());
}));
await browser.close();
console.log(JSON.stringify({ ok: failures.length === 0, seconds, failures }));
process.exitCode = failures.length === 0 ? 0 : 1;

async function runScenario(scenario) {
  const { name } = scenario;
  const context = await (scenario === phoneSizes ? openPhone(browser) : openContext(browser, desktop));
  const page = await context.newPage();
  page.setDefaultTimeout(patienceMs);
  const began = Date.now();
  const problems = collectProblems(page);
  try {
    await scenario(page);
    assert.deepEqual(problems, [], 'the page reports problems');
  } catch (error) {
    await screenshot(page, `failed-${name}`);
    failures.push(`${name}: ${error.message}`);
  } finally {
    seconds[name] = Math.round((Date.now() - began) / 1000);
    await context.close();
  }
}

async function emptyList(page) {
  await page.route('**/api/v2/live', (route) => route.fulfill({ json: { streams: [] } }));
  await page.goto(address('/'));
  const empty = page.locator('.empty');
  await empty.waitFor();
  const text = await empty.innerText();
  assert.match(text, /rtmp:\/\/127\.0\.0\.1:1935\/live/);
  assert.match(text, /\.nova\/dev\.json/);
  assert.match(text, /ffmpeg -re/);
  await screenshot(page, 'empty');
}

async function listFollows(page) {
  await page.goto(address('/'));
  await page.locator('.card-live[href="/watch/demo"]').waitFor();
  assert.equal(await page.locator('a[href="/recording/demo-1"] .badge-length').innerText(), '0:12');
  const card = page.locator('.card-live[href="/watch/comes"]');
  assert.equal(await card.count(), 0);
  await change('comes', 'start');
  await card.waitFor();
  assert.match(await card.innerText(), /live[\s\S]*Returned[\s\S]*just started[\s\S]*360p[\s\S]*240p[\s\S]*144p/i);
  await card.locator('.poster-image:not([hidden])').waitFor();
  await screenshot(page, 'list');
  await change('comes', 'remove');
  await card.waitFor({ state: 'detached' });
}

/** Not live, live, over with its recording offered, live again: all in one page without a reload. */
async function startsReturns(page) {
  await page.goto(address('/watch/later'));
  await waitForPlayer(page, 'waits', inState('waiting'));
  await page.getByText('Not live right now').waitFor();
  await change('later', 'start');
  await waitForPlayer(page, 'plays once it is live', playing);
  await page.getByRole('heading', { name: 'Returned' }).waitFor();
  await change('later', 'stop');
  await waitForPlayer(page, 'ends', inState('ended'));
  await page.getByText('The broadcast has ended').waitFor();
  await page.getByRole('link', { name: 'Watch the recording' }).waitFor();
  await screenshot(page, 'ended');
  await change('later', 'start');
  const back = await waitForPlayer(page, 'plays again', playing);
  assert.equal(back.fatalErrors, 0);
  await page.getByRole('link', { name: 'Watch the recording' }).waitFor({ state: 'hidden' });
}

/** The publisher goes away for a while and comes back to the same session. */
async function interrupted(page) {
  await change('shaky', 'start');
  await page.goto(address('/watch/shaky'));
  await waitForPlayer(page, 'plays', playing);
  await change('shaky', 'stall');
  await waitForPlayer(page, 'notices the standstill', inState('interrupted'));
  await page.getByText('The broadcast is interrupted').waitFor();
  await change('shaky', 'resume');
  const before = (await readPlayer(page)).currentTime;
  await waitForPlayer(page, 'goes on', (p) => p.state === 'ready' && p.currentTime > before + 1);
}

/** The stream is gone at once, as when its server starts anew: the page waits for it and plays again. */
async function vanishes(page) {
  await change('fleeting', 'start');
  await page.goto(address('/watch/fleeting'));
  await waitForPlayer(page, 'plays', playing);
  await change('fleeting', 'remove');
  await waitForPlayer(page, 'notices that it is gone', inState('waiting'));
  await change('fleeting', 'start');
  await waitForPlayer(page, 'plays again', playing);
}

/** The broadcaster is back so soon that nobody saw the end: a new session under the same addresses, from 0 on. */
async function restarts(page) {
  await change('hasty', 'start');
  await page.goto(address('/watch/hasty'));
  await waitForPlayer(page, 'plays', playing);
  // Two reloads of the playlist at the most tell the sessions apart; a watchdog alone would take 16 s.
  const again = page.waitForRequest('**/hls/hasty/index.m3u8', { timeout: 10_000 });
  await change('hasty', 'start');
  await again;
  await waitForPlayer(page, 'plays the new session', playing);
}

async function recording(page) {
  await page.goto(address('/recording/demo-1'));
  await waitForPlayer(page, 'plays', playing);
  await page.getByRole('heading', { name: 'Evening session' }).waitFor();
  await page.keyboard.press('k');
  const paused = await waitForPlayer(page, 'pauses', (p) => p.paused);
  await page.keyboard.press('ArrowRight');
  const forward = await waitForPlayer(page, 'seeks', (p) => p.currentTime > paused.currentTime + 4);
  await page.keyboard.press('ArrowLeft');
  await waitForPlayer(page, 'seeks back', (p) => p.currentTime < forward.currentTime - 4);
  assert.match(await page.locator('.time').innerText(), /^0:\d\d \/ 0:12$/);
  const slider = page.getByRole('slider', { name: 'Position' });
  await slider.fill('11');
  await waitForPlayer(page, 'follows the seek bar', (p) => p.currentTime >= 11);
  await page.keyboard.press('k');
  await waitForPlayer(page, 'ends', inState('ended'));
  await page.locator('.notice').getByRole('button', { name: 'Watch again' }).click();
  const again = await waitForPlayer(page, 'starts over', (p) => p.state === 'ready' && !p.paused && p.currentTime < 5);
  assert.equal(again.fatalErrors, 0);
}

async function keyboard(page) {
  await page.goto(address('/watch/demo'));
  await waitForPlayer(page, 'plays', playing);
  await page.getByRole('button', { name: 'Tap to unmute' }).waitFor();
  await page.keyboard.press('m');
  assert.equal(await page.evaluate(() => document.querySelector('video').muted), false);
  await page.getByRole('button', { name: 'Tap to unmute' }).waitFor({ state: 'hidden' });
  await page.keyboard.press('i');
  await page.locator('.stats').getByText('Bandwidth').waitFor();
  // The menu by keys alone: down past Auto to the best rung.
  await page.locator('.quality-button').focus();
  await page.keyboard.press('Enter');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await waitForPlayer(page, 'plays the chosen level', (p) => p.levels.length === 3 && p.selectedLevel === p.level && p.stats.height === 360);
  assert.equal(await page.locator('.quality-label').innerText(), '360p');
  assert.equal(await page.locator('.menu').isVisible(), false);
  await goLive(page);
}

/** Behind the live edge there is a way back to it. */
async function goLive(page) {
  await page.evaluate(() => document.querySelector('video').pause());
  await page.locator('.live-pill.is-behind').waitFor();
  await page.locator('.player').hover();
  await page.locator('.live-pill').click();
  await waitForPlayer(page, 'is live again', playing);
  await page.locator('.live-pill:not(.is-behind)').waitFor();
}

/** Nothing sticks out sideways and every control can be reached on a phone. */
async function phoneSizes(page) {
  for (const path of ['/', '/watch/demo', '/recording/demo-1', '/watch/nobody']) {
    await page.goto(address(path));
    if (path === '/') await page.locator('.card-live').first().waitFor();
    else if (path !== '/watch/nobody') await waitForPlayer(page, `${path} plays`, playing);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(wide <= 0, `${path} is ${wide} px too wide`);
    for (const control of await page.locator('.controls button:visible').all()) {
      const box = await control.boundingBox();
      assert.ok(box.x >= 0 && box.x + box.width <= 390, `${path}: ${await control.getAttribute('class')} is off the screen`);
    }
    const nameless = await page.locator('button:visible').evaluateAll((all) =>
      all.filter((b) => !(b.getAttribute('aria-label') || b.textContent.trim())).map((b) => b.className));
    assert.deepEqual(nameless, [], `${path}: buttons without a name`);
    await screenshot(page, `phone${path.replaceAll('/', '-')}`);
  }
}

async function wrongAddresses(page) {
  await page.goto(address('/no/such/page'));
  await page.getByRole('heading', { name: 'There is no such page' }).waitFor();
  await page.getByRole('link', { name: 'See what is live' }).click();
  await page.locator('.card-live').first().waitFor();
  await page.goto(address('/recording/unknown'));
  await waitForPlayer(page, 'says so', inState('failed'));
  await page.getByText('This recording does not exist').waitFor();
  await page.getByRole('button', { name: 'Try again' }).waitFor();
}

/** The list says that the server is away and recovers by itself. */
async function serverAway(page) {
  await page.route('**/api/v2/*', (route) => route.abort());
  await page.goto(address('/'));
  await page.getByText('The server does not answer').waitFor();
  await page.unroute('**/api/v2/*');
  await page.locator('.card-live').first().waitFor();
  await page.getByText('The server does not answer').waitFor({ state: 'hidden' });
}

/** The storage of the recordings is away, the live list is not. */
async function storageAway(page) {
  await page.route('**/api/v2/recordings', (route) => route.abort());
  await page.goto(address('/'));
  await page.locator('.card-live').first().waitFor();
  await page.getByText('The recordings cannot be listed now').waitFor();
  await page.unroute('**/api/v2/recordings');
  await page.locator('a[href="/recording/demo-1"]').waitFor();
  await page.getByText('The recordings cannot be listed now').waitFor({ state: 'hidden' });
}

async function screenshot(page, name) {
  if (shots === '') return;
  await mkdir(shots, { recursive: true });
  await page.screenshot({ path: join(shots, `${name}.png`) });
}
