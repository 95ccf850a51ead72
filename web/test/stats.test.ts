import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bufferAhead, clockLatency, StallMeter } from '../src/player/stats.js';
import { EdgeWatch, ProgressWatch } from '../src/player/watchdog.js';

test('bufferAhead', () => {
  const cases: [[number, number][], number, number][] = [
    [[], 5, 0],
    [[[0, 10]], 4, 6],
    [[[0, 10]], 10, 0],
    [[[0, 10], [10.05, 20]], 4, 16], // a hole that players jump
    [[[0, 10], [12, 20]], 4, 6],
    [[[6, 10]], 4, 0],
  ];
  for (const [ranges, position, want] of cases) assert.equal(bufferAhead(ranges, position), want, JSON.stringify(ranges));
});

test('clockLatency', () => {
  assert.equal(clockLatency(1000, 4500), 3.5);
  assert.equal(clockLatency(null, 4500), null);
  assert.equal(clockLatency(5000, 4500), null); // the broadcaster's clock is ahead
  assert.equal(clockLatency(0, 121_000), null);
});

test('StallMeter counts what viewers see as a stall', () => {
  const meter = new StallMeter();
  meter.waiting(0, false, false); // the first load
  meter.waiting(10, true, true); // a seek
  assert.equal(meter.stalls, 0);
  meter.waiting(100, false, true);
  meter.waiting(200, false, true); // still the same stall
  assert.equal(meter.totalMs(300), 200);
  meter.moving(400);
  meter.moving(500);
  meter.waiting(1000, false, true);
  meter.moving(1050);
  assert.equal(meter.stalls, 2);
  assert.equal(meter.totalMs(9000), 350);
});

test('ProgressWatch measures time without progress while playback is wanted', () => {
  const watch = new ProgressWatch();
  assert.equal(watch.tick(0, 1, true), 0);
  assert.equal(watch.tick(500, 1, true), 500);
  assert.equal(watch.tick(1000, 1.5, true), 0);
  assert.equal(watch.tick(9000, 1.5, false), 0); // paused
  assert.equal(watch.tick(9500, 1.5, true), 500);
});

test('EdgeWatch measures how long a playlist stays as it is', () => {
  const watch = new EdgeWatch();
  assert.equal(watch.seen('a', 1000), 0);
  assert.equal(watch.seen('a', 4000), 3000);
  assert.equal(watch.seen('b', 5000), 0);
  watch.reset();
  assert.equal(watch.seen('b', 9000), 0);
});
