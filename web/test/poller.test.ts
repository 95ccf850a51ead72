import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Poller, type Timers } from '../src/poller.js';

/** Timers that fire when the test says so. */
class ManualTimers implements Timers {
  pending: { run: () => void; ms: number } | null = null;

  set(run: () => void, ms: number): unknown {
    assert.equal(this.pending, null, 'two waits at once');
    return (this.pending = { run, ms });
  }

  clear(handle: unknown): void {
    if (handle === this.pending) this.pending = null;
  }

  fire(): void {
    const due = this.pending;
    assert.ok(due, 'nothing waits');
    this.pending = null;
    due.run();
  }
}

/** Lets promises that are already decided run their course. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

function recorder(answers: (string | Error)[]) {
  const timers = new ManualTimers();
  const seen: string[] = [];
  const waits: number[] = [];
  const load = async (): Promise<string> => {
    const answer = answers.shift();
    if (answer === undefined || answer instanceof Error) throw answer ?? new Error('no answer left');
    return answer;
  };
  const poller = new Poller(load, 5000, {
    value: (value) => seen.push(value),
    failed: (error, ms) => { seen.push((error as Error).message); waits.push(ms); },
  }, timers);
  return { timers, seen, waits, poller };
}

test('asks at once and then at the interval', async () => {
  const { timers, seen, poller } = recorder(['a', 'b']);
  poller.start();
  await settle();
  assert.deepEqual(seen, ['a']);
  assert.equal(timers.pending?.ms, 5000);
  timers.fire();
  await settle();
  assert.deepEqual(seen, ['a', 'b']);
});

test('waits longer after each failure and returns to the interval after an answer', async () => {
  const { timers, seen, waits, poller } = recorder([new Error('1'), new Error('2'), new Error('3'), 'good', new Error('4')]);
  poller.start();
  for (let i = 0; i < 4; i++) {
    await settle();
    timers.fire();
  }
  await settle();
  assert.deepEqual(seen, ['1', '2', '3', 'good', '4']);
  const [first, second, third, afterGood] = waits as [number, number, number, number];
  // Growth 1.7 with ±20 % of chance: two steps always exceed one.
  assert.ok(third > first * 1.7, `${first} ${second} ${third}`);
  assert.ok(afterGood <= 2400, `back-off did not start over: ${afterGood}`);
});

test('a stopped poller reports nothing more and waits for nothing', async () => {
  const { timers, seen, poller } = recorder(['late']);
  poller.start();
  poller.stop();
  await settle();
  assert.deepEqual(seen, []);
  assert.equal(timers.pending, null);
});

test('starting again drops the request under way', async () => {
  const { timers, seen, poller } = recorder(['dropped', 'kept']);
  poller.start();
  poller.start();
  await settle();
  assert.deepEqual(seen, ['kept']);
  assert.equal(timers.pending?.ms, 5000);
});

test('an event handler may stop the poller', async () => {
  const timers = new ManualTimers();
  const poller: Poller<number> = new Poller(async () => 1, 5000, { value: () => poller.stop(), failed: assert.fail }, timers);
  poller.start();
  await settle();
  assert.equal(timers.pending, null);
});
