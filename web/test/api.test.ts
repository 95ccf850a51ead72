import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLive, parseRecordings } from '../src/api.js';

test('a full answer of the live list', () => {
  const [stream] = parseLive({
    streams: [{
      playback_id: 'demo', title: 'Demo', started_at: '2026-03-01T12:00:00Z', hls_url: '/hls/demo/index.m3u8',
      poster_url: '/hls/demo/poster.jpg',
      renditions: [
        { name: '360p', width: 640, height: 360, bitrate: '800000' },
        { name: '720p', width: 1280, height: 720, bitrate: 2_800_000 },
      ],
    }],
  });
  assert.deepEqual(stream, {
    playbackId: 'demo', title: 'Demo', startedAt: new Date('2026-03-01T12:00:00Z'), hlsUrl: '/hls/demo/index.m3u8',
    posterUrl: '/hls/demo/poster.jpg',
    renditions: [
      { name: '720p', width: 1280, height: 720, bitrate: 2_800_000 },
      { name: '360p', width: 640, height: 360, bitrate: 800_000 },
    ],
  });
});

test('what is left out gets a safe value', () => {
  const [stream] = parseLive({ streams: [{ playback_id: 'x' }] });
  assert.deepEqual(stream, {
    playbackId: 'x', title: 'x', startedAt: null, hlsUrl: '/hls/x/index.m3u8', posterUrl: '', renditions: [],
  });
  const [recording] = parseRecordings({ recordings: [{ video_id: 'x-1' }] });
  assert.deepEqual(recording, {
    videoId: 'x-1', playbackId: '', title: 'x-1', startedAt: null, durationSeconds: 0, hlsUrl: '/vod/x-1/index.m3u8', posterUrl: '',
  });
});

test('nonsense is an empty list, not an exception', () => {
  for (const answer of [null, undefined, 1, 'x', [], {}, { streams: null }, { streams: {} }, { streams: [null, 1, 'x', {}] }]) {
    assert.deepEqual(parseLive(answer), [], JSON.stringify(answer));
    assert.deepEqual(parseRecordings(answer), [], JSON.stringify(answer));
  }
  const [stream] = parseLive({ streams: [{ playback_id: 'x', started_at: 'not a date', renditions: [{ height: -1, bitrate: 'NaN' }] }] });
  assert.equal(stream?.startedAt, null);
  assert.deepEqual(stream?.renditions, [{ name: '', width: 0, height: 0, bitrate: 0 }]);
});

test('addresses of other hosts are not taken', () => {
  for (const foreign of ['https://example.com/a.m3u8', '//example.com/a.m3u8', '/\\example.com/a.m3u8', 'javascript:alert(1)', 'a.m3u8']) {
    const [stream] = parseLive({ streams: [{ playback_id: 'x', hls_url: foreign, poster_url: foreign }] });
    assert.equal(stream?.hlsUrl, '/hls/x/index.m3u8', foreign);
    assert.equal(stream?.posterUrl, '', foreign);
  }
});
