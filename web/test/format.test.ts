import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ago, bitrate, clock, clockInWords, seconds, uptime } from '../src/format.js';

const now = new Date('2026-03-01T12:00:00Z');
const before = (ms: number): Date => new Date(now.getTime() - ms);
const minute = 60_000;
const hour = 60 * minute;

test('clock', () => {
  const cases: [number, string][] = [
    [0, '0:00'], [7.9, '0:07'], [59.999, '0:59'], [60, '1:00'], [754, '12:34'], [3600, '1:00:00'], [3723, '1:02:03'],
    [360_000, '100:00:00'], [-3, '0:00'], [NaN, '0:00'], [Infinity, '0:00'],
  ];
  for (const [value, want] of cases) assert.equal(clock(value), want, String(value));
});

test('clockInWords', () => {
  const cases: [number, string][] = [
    [0, '0 seconds'], [1, '1 second'], [61, '1 minute 1 second'], [3600, '1 hour'], [7322, '2 hours 2 minutes 2 seconds'],
    [NaN, '0 seconds'],
  ];
  for (const [value, want] of cases) assert.equal(clockInWords(value), want, String(value));
});

test('uptime', () => {
  const cases: [number, string][] = [
    [0, 'just started'], [59_999, 'just started'], [minute, '1 min'], [59 * minute, '59 min'], [hour, '1 h 00 min'],
    [2 * hour + 5 * minute, '2 h 05 min'], [47 * hour, '47 h 00 min'], [49 * hour, '2 days'],
    [-5 * minute, 'just started'], // the server's clock is ahead
  ];
  for (const [ms, want] of cases) assert.equal(uptime(before(ms), now), want, String(ms));
});

test('ago', () => {
  const cases: [number, string][] = [
    [0, 'just now'], [minute, '1 min ago'], [hour, '1 h ago'], [23 * hour, '23 h ago'], [24 * hour, 'yesterday'],
    [48 * hour, '2 days ago'], [6 * 24 * hour, '6 days ago'], [-hour, 'just now'],
  ];
  for (const [ms, want] of cases) assert.equal(ago(before(ms), now), want, String(ms));
  assert.match(ago(new Date('2025-01-15T12:00:00Z'), now), /2025/);
});

test('bitrate', () => {
  const cases: [number, string][] = [
    [0, ''], [NaN, ''], [-1, ''], [64_000, '64 kbps'], [999_000, '999 kbps'], [999_600, '1.0 Mbps'],
    [2_800_000, '2.8 Mbps'], [9_940_000, '9.9 Mbps'], [12_400_000, '12 Mbps'],
  ];
  for (const [value, want] of cases) assert.equal(bitrate(value), want, String(value));
});

test('seconds', () => {
  assert.equal(seconds(2.44), '2.4 s');
  assert.equal(seconds(0), '0.0 s');
  assert.equal(seconds(null), '–');
  assert.equal(seconds(Infinity), '–');
});
