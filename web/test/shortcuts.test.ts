import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandFor, type Command, type Focus } from '../src/player/shortcuts.js';

test('commandFor', () => {
  const cases: [string, Focus, Command | null][] = [
    [' ', 'page', 'toggle-play'],
    ['k', 'page', 'toggle-play'],
    ['K', 'page', 'toggle-play'],
    ['m', 'button', 'toggle-mute'],
    ['f', 'slider', 'fullscreen'],
    ['i', 'page', 'stats'],
    ['ArrowLeft', 'page', 'back'],
    ['ArrowRight', 'button', 'forward'],
    ['ArrowUp', 'page', 'louder'],
    [' ', 'button', null],
    ['ArrowLeft', 'slider', null],
    ['k', 'text', null],
    ['x', 'page', null],
    ['Enter', 'page', null],
    ['constructor', 'page', null],
  ];
  for (const [key, focus, want] of cases) assert.equal(commandFor({ key, modified: false }, focus), want, `${key} on ${focus}`);
  assert.equal(commandFor({ key: 'f', modified: true }, 'page'), null);
});
