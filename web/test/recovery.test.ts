import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EngineError } from '../src/player/engine.js';
import { RecoveryPlan } from '../src/player/recovery.js';

const error = (kind: EngineError['kind'], over: Partial<EngineError> = {}): EngineError =>
  ({ kind, fatal: true, detail: 'fragLoadError', message: '', status: 0, ...over });

test('what is not fatal is left to the engine', () => {
  assert.equal(new RecoveryPlan().decide(error('media', { fatal: false }), 0), 'none');
});

test('network: asks again four times in a row, then starts over', () => {
  const plan = new RecoveryPlan();
  const steps = [1, 2, 3, 4, 5].map((n) => plan.decide(error('network', { status: 503 }), n));
  assert.deepEqual(steps, ['start-load', 'start-load', 'start-load', 'start-load', 'reconnect']);
  assert.equal(plan.attempt, 4);
});

test('network: media that comes in forgives earlier errors', () => {
  const plan = new RecoveryPlan();
  for (let n = 0; n < 20; n++) {
    assert.equal(plan.decide(error('network'), n), 'start-load');
    plan.progress();
  }
});

test('network: what is gone is looked for anew', () => {
  for (const over of [{ status: 404 }, { status: 410 }, { detail: 'manifestLoadError' }]) {
    assert.equal(new RecoveryPlan().decide(error('network', over), 0), 'reconnect', JSON.stringify(over));
  }
});

test('media: rebuilds, swaps the audio codec when that was not enough, then starts over', () => {
  const plan = new RecoveryPlan();
  const at = (ms: number) => plan.decide(error('media', { detail: 'bufferAppendError' }), ms);
  assert.deepEqual([at(0), at(1000), at(2000)], ['recover-media', 'swap-audio', 'reconnect']);
});

test('media: an error after quiet seconds is a first one again', () => {
  const plan = new RecoveryPlan();
  const at = (ms: number) => plan.decide(error('media', { detail: 'bufferAppendError' }), ms);
  assert.deepEqual([at(0), at(6000), at(12_000)], ['recover-media', 'recover-media', 'recover-media']);
});

test('anything else starts over', () => {
  assert.equal(new RecoveryPlan().decide(error('other', { detail: 'internalException' }), 0), 'reconnect');
  assert.equal(new RecoveryPlan().decide(error('media', { detail: 'manifestIncompatibleCodecsError' }), 0), 'reconnect');
});
