// How the page is built: hashed files under dist/assets, each text file beside its gzip and Brotli forms, so that
// the Go server sends bytes as they lie and compresses nothing at run time.
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { defineConfig } from 'vite';

const dist = new URL('./dist/', import.meta.url).pathname;
const textual = new Set(['.html', '.js', '.css', '.svg', '.json', '.txt']);

/** Empties dist but for .gitkeep, which lets go:embed find the folder before the first build. */
function cleanDist() {
  return {
    name: 'nova-clean-dist',
    apply: 'build',
    async buildStart() {
      for (const name of await readdir(dist)) {
        if (name !== '.gitkeep') await rm(join(dist, name), { recursive: true });
      }
    },
  };
}

/** Writes name.gz and name.br beside each text file, where that makes it smaller. */
function precompress() {
  return {
    name: 'nova-precompress',
    apply: 'build',
    async closeBundle() {
      const entries = await readdir(dist, { recursive: true, withFileTypes: true });
      for (const entry of entries) {
        if (entry.isFile() && textual.has(extname(entry.name))) await compress(join(entry.parentPath ?? entry.path, entry.name));
      }
    },
  };
}

async function compress(path) {
  const body = await readFile(path);
  const forms = {
    gz: gzipSync(body, { level: 9 }),
    br: brotliCompressSync(body, {
      params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: body.length },
    }),
  };
  for (const [ending, form] of Object.entries(forms)) {
    if (form.length < body.length) await writeFile(`${path}.${ending}`, form);
  }
}

export default defineConfig({
  plugins: [cleanDist(), precompress()],
  build: {
    target: 'es2022',
    emptyOutDir: false, // cleanDist does it
    assetsInlineLimit: 0, // data: addresses are not in the page's Content-Security-Policy
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700, // hls.js, loaded by the watch page alone
    reportCompressedSize: false,
  },
  server: {
    proxy: Object.fromEntries(['/api', '/hls', '/vod'].map((p) => [p, process.env.NOVA_URL ?? 'http://127.0.0.1:8080'])),
  },
});
