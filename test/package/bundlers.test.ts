/**
 * The installed package in the builds of other people's tools: a page of each answers on WebAssembly, in its own script and in a worker, in a
 * browser without WebGPU. The pages' policies are tried on one of the builds.
 */
import { mkdir, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { nodeResolve } from '@rollup/plugin-node-resolve';
import * as esbuild from 'esbuild';
import type { Browser, ConsoleMessage } from 'playwright';
import { rollup } from 'rollup';
import { build as vite } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import webpack from 'webpack';
import { flagship, makeFlagship } from '../../scripts/quantize-flagship.ts';
import { loadModel } from '../../src/index.ts';
import { decodeModel, imageBatches, quantize } from '../../src/index-quantize.ts';
import { launchChromium } from '../support/chromium.ts';
import { serveFolder } from '../support/static-server.ts';
import { installPackage } from './installed.ts';

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, '../..');

/** What a page or a worker does: loads the model, runs one grey picture, and gives the backend, its threads and the logits. */
const answer = `import { loadModel } from 'octetjs';
export async function answer(options) {
  const model = await loadModel(new URL('model.onnx', options.base), { threads: options.threads, workerUrl: options.workerUrl });
  const { outputs } = await model.run({ input: { pixels: new Uint8Array(32 * 32 * 3).fill(128) } });
  return { backend: model.backend, threads: model.threads, logits: [...outputs.logits.data] };
}`;
const show = `const show = (promise) => promise.then(JSON.stringify, String).then((text) => { document.title = text; });`;
const query = `const query = new URLSearchParams(location.search);
const options = { base: document.baseURI, workerUrl: query.get('worker') ?? undefined };`;

/** Files of the project that each tool builds. */
const sources = {
  'answer.js': answer,
  'main.js': `import { answer } from './answer.js';\n${show}\n${query}\nshow(answer(options));`,
  'worker.js': `import { answer } from './answer.js';
self.onmessage = ({ data }) => answer(data).then((result) => postMessage(result), (error) => postMessage(String(error)));`,
  'in-worker.js': `${show}\n${query}
const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
show(new Promise((resolve, reject) => {
  worker.onmessage = ({ data }) => resolve(data);
  worker.onerror = reject;
  worker.postMessage(options);
}));`,
  'index.html':
    '<!doctype html><link rel="icon" href="data:,"><script type="module" src="./main.js"></script>',
  'in-worker.html':
    '<!doctype html><link rel="icon" href="data:,"><script type="module" src="./in-worker.js"></script>',
};
const ENTRIES = ['main.js', 'in-worker.js', 'worker.js'];

let folder: string;
let source: string;
let browser: Browser;
let expected: number[];

beforeAll(async () => {
  await makeFlagship();
  ({ folder } = await installPackage());
  source = path.join(folder, 'src');
  await mkdir(source);
  for (const [name, text] of Object.entries(sources)) await writeFile(path.join(source, name), text);
  // Without the flags that give it WebGPU.
  browser = await launchChromium([]);
  using model = await loadModel(flagship, { backend: 'reference' });
  const { outputs } = await model.run({ input: { pixels: new Uint8Array(32 * 32 * 3).fill(128) } });
  expected = [...outputs.logits.data];
});

afterAll(async () => {
  await browser.close();
  await rm(folder, { recursive: true, force: true });
});

/** Each builds the project's pages into a folder. */
const bundlers: Record<string, (out: string) => Promise<unknown>> = {
  vite: (out) =>
    vite({
      root: source,
      configFile: false,
      logLevel: 'error',
      base: './',
      build: {
        outDir: out,
        rolldownOptions: { input: ['index.html', 'in-worker.html'].map((name) => path.join(source, name)) },
      },
      worker: { format: 'es' },
    }),
  esbuild: (out) =>
    esbuild.build({
      entryPoints: ENTRIES.map((name) => path.join(source, name)),
      outdir: out,
      bundle: true,
      splitting: true,
      format: 'esm',
    }),
  rollup: async (out) => {
    const bundle = await rollup({
      input: ENTRIES.map((name) => path.join(source, name)),
      plugins: [nodeResolve({ browser: true })],
      // What TypeScript's helpers make of a module's \`this\`.
      onwarn: () => undefined,
    });
    await bundle.write({ dir: out, format: 'es' });
    await bundle.close();
  },
  webpack: (out) =>
    new Promise<void>((resolve, reject) => {
      const entry = { main: './main.js', 'in-worker': './in-worker.js' };
      webpack(
        { mode: 'development', devtool: false, context: source, entry, output: { path: out } },
        (error, stats) => {
          const errors = stats?.toJson({ all: false, errors: true }).errors ?? [];
          if (error) reject(error);
          else if (errors.length > 0) reject(new Error(errors.map(({ message }) => message).join('\n')));
          else resolve();
        },
      );
    }),
  parcel: async (out) => {
    const settings = {
      type: 'module',
      private: true,
      '@parcel/resolver-default': { packageExports: true },
      // No bundles shared by a worker's script and what it imports later: Parcel 2.16 then looks for their modules in vain.
      '@parcel/bundler-default': { minBundleSize: 10_000_000 },
    };
    await writeFile(path.join(folder, 'package.json'), JSON.stringify(settings));
    const pages = ['index.html', 'in-worker.html'].map((name) => path.join(source, name));
    const command = path.join(root, 'node_modules/.bin/parcel');
    await run(
      command,
      [
        'build',
        ...pages,
        '--dist-dir',
        out,
        '--no-cache',
        '--no-source-maps',
        '--no-optimize',
        '--public-url',
        '.',
      ],
      {
        cwd: folder,
      },
    );
  },
};

/** What the page at `name` shows, and all that it writes to the console. */
async function open(
  served: string,
  name: string,
  headers: { isolated: boolean; policy?: string },
): Promise<{ readonly shown: unknown; readonly messages: string[] }> {
  const server = await serveFolder(served, headers);
  const page = await browser.newPage();
  const messages: string[] = [];
  page.on('console', (message: ConsoleMessage) => {
    // Chromium's own word on this browser's lack of a GPU, and on the icon that it asks for.
    if (!/^No available adapters|404/.test(message.text())) messages.push(message.text());
  });
  try {
    await page.goto(server.url + name);
    await page.waitForFunction(() => document.title !== '', undefined, { timeout: 60_000 });
    const title = await page.title();
    return { shown: title.startsWith('{') ? JSON.parse(title) : title, messages };
  } finally {
    await page.close();
    await server.close();
  }
}

/** The pages that the tool does not make itself, and the model. */
async function complete(out: string): Promise<void> {
  const files = await readdir(out);
  for (const name of ['index.html', 'in-worker.html']) {
    if (!files.includes(name)) await writeFile(path.join(out, name), sources[name as keyof typeof sources]);
  }
  await symlink(flagship, path.join(out, 'model.onnx'));
}

describe.each(Object.entries(bundlers))('%s', (name, build) => {
  test('builds a page and a worker that run on WebAssembly', { timeout: 180_000 }, async () => {
    const out = path.join(folder, name);
    await build(out);
    await complete(out);
    for (const page of ['index.html', 'in-worker.html']) {
      const { shown, messages } = await open(out, page, { isolated: false });
      expect(shown, page).toEqual({ backend: 'wasm', threads: 1, logits: expected });
      expect(messages, page).toEqual([]);
    }
    // What only starts a worker has no copy of the library.
    const scripts = (await readdir(out)).filter((file) => /^in-worker.*\.js$/.test(file));
    for (const script of scripts)
      expect((await readFile(path.join(out, script))).length).toBeLessThan(20_000);
  });
});

/** Trusted types with no policy at all; `'wasm-unsafe-eval'` is the one thing that Octet needs. */
const strict =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; img-src data:; require-trusted-types-for 'script'; trusted-types 'none'";

describe("pages' policies", () => {
  const site = () => path.join(folder, 'esbuild');

  test('the strictest runs it on one thread', async () => {
    const { shown } = await open(site(), 'index.html', { isolated: true, policy: strict });
    expect(shown).toEqual({ backend: 'wasm', threads: 1, logits: expected });
  });

  test('workers from memory give it threads', async () => {
    const policy =
      "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; img-src data:; worker-src blob:";
    const { shown, messages } = await open(site(), 'index.html', { isolated: true, policy });
    expect(shown).toMatchObject({ backend: 'wasm', logits: expected });
    expect((shown as { threads: number }).threads).toBeGreaterThan(1);
    expect(messages).toEqual([]);
  });

  test('so does the script of the threads, served with the page', async () => {
    const policy =
      "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; img-src data:; worker-src 'self'";
    await symlink(path.join(folder, 'node_modules/octetjs/dist/worker.js'), path.join(site(), 'threads.js'));
    const { shown, messages } = await open(site(), 'index.html?worker=threads.js', {
      isolated: true,
      policy,
    });
    expect(shown).toMatchObject({ backend: 'wasm', logits: expected });
    expect((shown as { threads: number }).threads).toBeGreaterThan(1);
    expect(messages).toEqual([]);
  });

  test('without WebAssembly it answers on the reference, and says so once', async () => {
    const policy = "default-src 'none'; script-src 'self'; connect-src 'self'; img-src data:";
    const { shown, messages } = await open(site(), 'index.html', { isolated: false, policy });
    expect(shown).toMatchObject({ backend: 'reference', logits: expected });
    expect(messages.filter((text) => text.startsWith('Octet: '))).toEqual([
      expect.stringMatching(
        /wasm cannot run it \(cannot load the WebAssembly kernels.*only the reference is left/s,
      ),
    ]);
  });
});

test('the strictest policy lets a page calibrate and quantize, with the right entry of onnxruntime-web', async () => {
  const out = path.join(folder, 'calibration');
  const runtime = path.join(root, 'node_modules/onnxruntime-web');
  await symlink(runtime, path.join(folder, 'node_modules/onnxruntime-web'));
  await writeFile(
    path.join(source, 'calibrate.js'),
    `import * as onnxRuntime from 'onnxruntime-web/wasm';
    import { loadModel } from 'octetjs';
    import { decodeModel, imageBatches, quantize } from 'octetjs/quantize';
    ${show}
    const name = 'ort-wasm-simd-threaded';
    onnxRuntime.env.wasm.wasmPaths = Object.fromEntries(['mjs', 'wasm'].map((kind) => [kind, new URL(name + '.' + kind, document.baseURI).href]));
    onnxRuntime.env.wasm.numThreads = 1;
    async function calibrate() {
      const float = decodeModel(new Uint8Array(await (await fetch('float.onnx')).arrayBuffer()));
      const picture = { width: 32, height: 32, data: Uint8Array.from({ length: 3072 }, (_, i) => (i * 37) % 256) };
      const { graph, report } = await quantize(float, imageBatches(float, [picture]), { onnxRuntime });
      const model = await loadModel(graph);
      const { predictions } = await model.classify(picture);
      return { layers: report.layers.length, backend: model.backend, classes: predictions.length };
    }
    show(calibrate());`,
  );
  await esbuild.build({
    entryPoints: [path.join(source, 'calibrate.js')],
    outdir: out,
    bundle: true,
    splitting: true,
    format: 'esm',
    external: ['node:*', 'module', 'worker_threads'],
  });
  await writeFile(
    path.join(out, 'index.html'),
    '<!doctype html><link rel="icon" href="data:,"><script type="module" src="./calibrate.js"></script>',
  );
  await symlink(path.join(root, 'models/resnet20-cifar10.onnx'), path.join(out, 'float.onnx'));
  for (const kind of ['mjs', 'wasm']) {
    const file = `ort-wasm-simd-threaded.${kind}`;
    await symlink(path.join(runtime, 'dist', file), path.join(out, file));
  }
  const { shown } = await open(out, 'index.html', { isolated: false, policy: strict });
  const float = decodeModel(await readFile(path.join(out, 'float.onnx')));
  const picture = {
    width: 32,
    height: 32,
    data: Uint8Array.from({ length: 3072 }, (_, i) => (i * 37) % 256),
  };
  const { report } = await quantize(float, imageBatches(float, [picture]));
  expect(shown).toEqual({ layers: report.layers.length, backend: 'wasm', classes: 5 });
});

test('one address is enough: the file for CDNs, and an import map', async () => {
  const out = path.join(folder, 'cdn');
  await mkdir(out);
  await writeFile(
    path.join(out, 'octet.js'),
    await readFile(path.join(folder, 'node_modules/octetjs/dist/cdn/octet.js')),
  );
  await writeFile(
    path.join(out, 'index.html'),
    `<!doctype html><script type="importmap">{ "imports": { "octetjs": "./octet.js" } }</script>
    <script type="module">${answer.replace('export ', '')}\n${show}\n${query}\nshow(answer(options));</script>`,
  );
  await symlink(flagship, path.join(out, 'model.onnx'));
  const { shown, messages } = await open(out, 'index.html', { isolated: true });
  expect(shown).toMatchObject({ backend: 'wasm', logits: expected });
  expect((shown as { threads: number }).threads).toBeGreaterThan(1);
  expect(messages).toEqual([]);
});
