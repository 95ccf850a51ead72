import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Rung } from '../src/player/engine.js';
import { nameRungs, qualityLabel, rungName } from '../src/player/levels.js';

const rung = (index: number, width: number, height: number, bitrate = 0, frameRate = 0): Rung =>
  ({ index, width, height, bitrate, frameRate });

test('rungName', () => {
  const cases: [Rung, string][] = [
    [rung(0, 1280, 720), '720p'],
    [rung(0, 1280, 720, 0, 30), '720p'],
    [rung(0, 1920, 1080, 0, 59.94), '1080p60'],
    [rung(0, 720, 1280), '720p'],
    [rung(0, 0, 480), '480p'],
    [rung(0, 0, 0, 64_000), 'Audio only'],
  ];
  for (const [value, want] of cases) assert.equal(rungName(value), want);
});

test('nameRungs puts the best first and keeps the index', () => {
  const named = nameRungs([rung(0, 640, 360, 800_000), rung(1, 1280, 720, 2_800_000), rung(2, 1280, 720, 4_000_000)]);
  assert.deepEqual(named, [
    { index: 2, name: '720p', rate: '4.0 Mbps' },
    { index: 1, name: '720p', rate: '2.8 Mbps' },
    { index: 0, name: '360p', rate: '800 kbps' },
  ]);
});

test('qualityLabel', () => {
  const named = nameRungs([rung(0, 640, 360), rung(1, 1280, 720)]);
  assert.deepEqual(qualityLabel(named, null, 1), { auto: true, name: '720p' });
  assert.deepEqual(qualityLabel(named, null, null), { auto: true, name: '' });
  assert.deepEqual(qualityLabel(named, 0, 1), { auto: false, name: '360p' });
  assert.deepEqual(qualityLabel([], 0, 1), { auto: false, name: '' });
});
