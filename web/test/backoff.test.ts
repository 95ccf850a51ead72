import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoffDelay } from '../src/backoff.js';

const policy = { firstMs: 1000, factor: 2, maxMs: 10_000 };
const middle = () => 0.5;

test('grows by the factor up to the cap', () => {
  const delays = [0, 1, 2, 3, 4, 5].map((attempt) => backoffDelay(attempt, policy, middle));
  assert.deepEqual(delays, [1000, 2000, 4000, 8000, 10_000, 10_000]);
});

test('stays finite and at the cap for any attempt', () => {
  assert.equal(backoffDelay(1e9, policy, middle), 10_000);
  assert.equal(backoffDelay(-1, policy, middle), 1000);
});

test('spreads over 20 % to either side', () => {
  assert.equal(backoffDelay(0, policy, () => 0), 800);
  assert.equal(backoffDelay(0, policy, () => 1), 1200);
});
