import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRoute, recordingPath, watchPath, type Route } from '../src/routes.js';

test('parseRoute', () => {
  const missing: Route = { page: 'missing' };
  const cases: [string, Route][] = [
    ['/', { page: 'home' }],
    ['', { page: 'home' }],
    ['/watch/demo', { page: 'watch', playbackId: 'demo' }],
    ['/watch/demo/', { page: 'watch', playbackId: 'demo' }],
    ['/watch/a.b_c-d~1', { page: 'watch', playbackId: 'a.b_c-d~1' }],
    ['/recording/demo-01JX', { page: 'recording', videoId: 'demo-01JX' }],
    ['/watch', missing],
    ['/watch/', missing],
    ['/watch/a/b', missing],
    ['/watch/..', missing],
    ['/watch/%2e%2e', missing],
    ['/watch/%2Fapi', missing],
    ['/watch/a%00', missing],
    [`/watch/${'x'.repeat(129)}`, missing],
    ['/other/demo', missing],
  ];
  for (const [path, want] of cases) assert.deepEqual(parseRoute(path), want, path);
});

test('paths lead back to their route', () => {
  assert.deepEqual(parseRoute(watchPath('demo')), { page: 'watch', playbackId: 'demo' });
  assert.deepEqual(parseRoute(recordingPath('demo-2')), { page: 'recording', videoId: 'demo-2' });
});
