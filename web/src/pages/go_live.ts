import { h } from '../dom.js';
import { copyButton } from './copy.js';

const rtmpPort = 1935;

/** How to start a broadcast: OBS and ffmpeg. The stream key itself is never in the page. */
export function goLiveSteps(): HTMLElement {
  const server = `rtmp://${location.hostname}:${rtmpPort}/live`;
  return h('div', { class: 'steps' },
    h('section', { class: 'step' },
      h('h3', {}, 'With OBS'),
      h('ol', {},
        h('li', {}, 'Settings → Stream → Service: ', h('b', {}, 'Custom')),
        h('li', {}, 'Server: ', code(server)),
        h('li', {}, 'Stream Key: the ', h('code', {}, 'stream_key'), ' in ', h('code', {}, '.nova/dev.json')),
        h('li', {}, 'Settings → Output → Keyframe interval: ', h('b', {}, '2 s'), ', then Start Streaming'))),
    h('section', { class: 'step' },
      h('h3', {}, 'With ffmpeg, from the project’s folder'),
      command(ffmpegCommand(server))));
}

function ffmpegCommand(server: string): string {
  return [
    `KEY=$(sed -n 's/.*"stream_key": *"\\([^"]*\\)".*/\\1/p' .nova/dev.json)`,
    'ffmpeg -re -stream_loop -1 -i video.mp4 \\',
    '  -c:v libx264 -preset veryfast -g 48 -c:a aac \\',
    `  -f flv "${server}/$KEY"`,
  ].join('\n');
}

function code(text: string): HTMLElement {
  return h('span', { class: 'copyable' }, h('code', {}, text), copyButton('copy', 'Copy', 'chip-button', () => text));
}

function command(text: string): HTMLElement {
  return h('div', { class: 'command' },
    h('pre', { tabindex: '0', 'aria-label': 'ffmpeg command' }, h('code', {}, text)),
    copyButton('copy', 'Copy', 'chip-button', () => text));
}
