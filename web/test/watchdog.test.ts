import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SessionWatch } from '../src/player/watchdog.js';

test('numbers that go back while the time goes on are another session', () => {
  const watch = new SessionWatch();
  const seen: readonly (readonly [number, number, boolean])[] = [
    [10, 20_000, false],
    [11, 22_000, false],
    [11, 22_000, false], // asked again
    [9, 18_000, false], // another rendition is behind, or a cache is
    [12, 24_000, false],
    [1, 29_000, true],
    [2, 31_000, false],
    [2, 39_000, true], // as far as the one before was
    [3, 41_000, false],
  ];
  for (const [number, timeMs, want] of seen) assert.equal(watch.restarted(number, timeMs), want, `${number} at ${timeMs}`);
});
