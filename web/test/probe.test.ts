import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { firstVariant, probe, readMediaPlaylist } from '../src/player/probe.js';

const main = '#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n# a comment\n720p/index.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=2\n360p/index.m3u8\n';
const media = '#EXTM3U\r\n#EXT-X-TARGETDURATION:2\r\n#EXTINF:2,\r\ns-1.m4s\r\n#EXTINF:2,\r\ns-2.m4s\r\n';

test('firstVariant', () => {
  assert.equal(firstVariant(main), '720p/index.m3u8');
  assert.equal(firstVariant(media), null);
  assert.equal(firstVariant('#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n'), null);
});

test('readMediaPlaylist', () => {
  assert.deepEqual(readMediaPlaylist(media), { kind: 'live', mark: 's-2.m4s' });
  assert.deepEqual(readMediaPlaylist(`${media}#EXT-X-PART:DURATION=0.5,URI="s-3.0.m4s"\n`),
    { kind: 'live', mark: '#EXT-X-PART:DURATION=0.5,URI="s-3.0.m4s"' });
  assert.deepEqual(readMediaPlaylist(`${media}#EXT-X-ENDLIST\r\n`), { kind: 'complete' });
  assert.deepEqual(readMediaPlaylist('#EXTM3U\n'), { kind: 'live', mark: '' });
  assert.equal(readMediaPlaylist('<!doctype html>').kind, 'unreachable');
});

const realFetch = globalThis.fetch;
afterEach(() => {
  globalThis.fetch = realFetch;
});

/** A server of texts and statuses by path. */
function serve(answers: Record<string, string | number>): void {
  Object.assign(globalThis, { location: { href: 'http://nova.test/watch/x' } });
  globalThis.fetch = async (input) => {
    const answer = answers[new URL(String(input), 'http://nova.test/').pathname];
    if (answer === undefined) throw new TypeError('fetch failed');
    return typeof answer === 'string' ? new Response(answer) : new Response('', { status: answer });
  };
}

const look = () => probe('/hls/x/index.m3u8', new AbortController().signal);

test('probe follows the first variant', async () => {
  serve({ '/hls/x/index.m3u8': main, '/hls/x/720p/index.m3u8': media });
  assert.deepEqual(await look(), { kind: 'live', mark: 's-2.m4s' });
});

test('probe tells what is not there from what does not answer', async () => {
  serve({ '/hls/x/index.m3u8': 404 });
  assert.deepEqual(await look(), { kind: 'absent' });
  serve({ '/hls/x/index.m3u8': main, '/hls/x/720p/index.m3u8': 410 });
  assert.deepEqual(await look(), { kind: 'absent' });
  serve({ '/hls/x/index.m3u8': 503 });
  assert.deepEqual(await look(), { kind: 'unreachable', reason: 'the server answers 503' });
  serve({});
  assert.deepEqual(await look(), { kind: 'unreachable', reason: 'the server does not answer' });
});

test('probe rejects once it is aborted', async () => {
  globalThis.fetch = async (_, init) => { throw init?.signal?.reason; };
  await assert.rejects(probe('/x', AbortSignal.abort(new Error('enough'))), /enough/);
});
