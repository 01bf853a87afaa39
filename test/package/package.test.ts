/**
 * What strangers get: the packed tarball, installed in a fresh folder, used from Node, from Deno, from a Vite page and from a plain module script.
 */
import { execFile } from 'node:child_process';
import { mkdir, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import type { Browser } from 'playwright';
import { publint } from 'publint';
import { build } from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { flagship, makeFlagship } from '../../scripts/quantize-flagship.ts';
import { launchChromium } from '../support/chromium.ts';
import { runInDeno } from '../support/deno.ts';
import { serveFolder } from '../support/static-server.ts';
import { installPackage } from './installed.ts';

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, '../..');

/** A page's script: loads the model, runs one grey picture, and shows the logits. */
const pageScript = (specifier: string) => `
import { loadModel } from '${specifier}';
try {
  const model = await loadModel(new URL('model.onnx', location.href), { backend: 'wasm' });
  const { outputs } = await model.run({ input: { pixels: new Uint8Array(32 * 32 * 3).fill(128) } });
  document.title = JSON.stringify([...outputs.logits.data]);
} catch (error) {
  document.title = String(error);
}
`;

let folder: string;
let tarball: string;
/** Logits of the grey picture, from the installed package in Node on the reference. */
let expected: number[];
let browser: Browser;

beforeAll(async () => {
  await makeFlagship();
  ({ folder, tarball } = await installPackage());
  browser = await launchChromium();
});

afterAll(async () => {
  await browser.close();
  await rm(folder, { recursive: true, force: true });
});

test('the installed package classifies in Node and Deno, on both CPU backends alike', async () => {
  const script = path.join(folder, 'run.js');
  await writeFile(
    script,
    `import { loadModel } from 'octetjs';
    import { quantize } from 'octetjs/quantize';
    import { defineOperator } from 'octetjs/extend';
    for (const one of [quantize, defineOperator]) if (typeof one !== 'function') throw new Error('an entry lacks it');
    const results = [];
    for (const backend of ['reference', 'wasm']) {
      const model = await loadModel(process.argv[2], { backend });
      const { outputs } = await model.run({ input: { pixels: new Uint8Array(32 * 32 * 3).fill(128) } });
      results.push([...outputs.logits.data]);
      model.dispose();
    }
    console.log(JSON.stringify(results));`,
  );
  const { stdout } = await run(process.execPath, [script, flagship], { cwd: folder });
  const [reference, wasm] = JSON.parse(stdout) as number[][];
  expect(reference).toHaveLength(10);
  expect(wasm).toEqual(reference);
  expected = reference;
  const inDeno = await runInDeno(script, [flagship], { cwd: folder, cacheDirectory: folder });
  expect(JSON.parse(inDeno)).toEqual([reference, wasm]);
});

test('it is light, and decodes PNG and JPEG in Node without the optional packages', async () => {
  const script = path.join(folder, 'decode.js');
  await writeFile(
    script,
    `import { readFile } from 'node:fs/promises';
    import { decodePicture } from 'octetjs';
    for (const file of process.argv.slice(2)) {
      const { width, height } = await decodePicture(await readFile(file)).catch(({ message }) => ({ width: message }));
      console.log(width, height);
    }`,
  );
  const pictures = ['models/cifar10/test-1000.png', 'demo/public/card.jpg', 'docs/screenshots/bits.webp'];
  const { stdout } = await run(process.execPath, [script, ...pictures.map((file) => path.join(root, file))], {
    cwd: folder,
  });
  expect(stdout).toMatch(/^1280 800\n1200 630\nthe picture: decoding WebP .* npm install sharp/);
  const names = await readdir(path.join(folder, 'node_modules'), { recursive: true, withFileTypes: true });
  const sizes = await Promise.all(
    names
      .filter((entry) => entry.isFile())
      .map(async (entry) => (await stat(path.join(entry.parentPath, entry.name))).size),
  );
  const megabytes = sizes.reduce((sum, size) => sum + size, 0) / 1e6;
  console.log(`installed: ${megabytes.toFixed(1)} MB in ${sizes.length} files`);
  expect(megabytes).toBeLessThan(22);
});

test('the installed command line runs and says its version', async () => {
  const { version } = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8')) as {
    version: string;
  };
  const { stdout } = await run(path.join(folder, 'node_modules/.bin/octet'), ['--version']);
  expect(stdout.trim()).toBe(version);
});

test('the package is well formed, and its types resolve as its code does', async () => {
  const { messages } = await publint({ pkgDir: path.join(folder, 'node_modules/octetjs'), pack: false });
  expect(messages.filter(({ type }) => type !== 'suggestion')).toEqual([]);
  const attw = path.join(root, 'node_modules/.bin/attw');
  // The worker's script is served, not imported.
  await run(attw, [tarball, '--profile', 'esm-only', '--exclude-entrypoints', 'worker'], { cwd: folder });
});

async function showsExpectedLogits(served: string): Promise<void> {
  await symlink(flagship, path.join(served, 'model.onnx'));
  const server = await serveFolder(served, { isolated: false });
  const page = await browser.newPage();
  try {
    await page.goto(server.url);
    await page.waitForFunction(() => document.title !== '', undefined, { timeout: 60_000 });
    expect(await page.title()).toBe(JSON.stringify(expected));
  } finally {
    await page.close();
    await server.close();
  }
}

test('a Vite page that only runs models loads under 115 kB, gzipped, without Node', async () => {
  const source = path.join(folder, 'page');
  const out = path.join(folder, 'site');
  await mkdir(source);
  await writeFile(
    path.join(source, 'index.html'),
    '<!doctype html><script type="module" src="./main.js"></script>',
  );
  await writeFile(path.join(source, 'main.js'), pageScript('octetjs'));
  const modules: string[] = [];
  await build({
    root: source,
    configFile: false,
    logLevel: 'error',
    base: './',
    build: { outDir: out, target: 'es2022' },
    worker: { format: 'es' },
    plugins: [
      {
        name: 'list-modules',
        generateBundle(_options, bundle) {
          for (const chunk of Object.values(bundle))
            if (chunk.type === 'chunk') modules.push(...chunk.moduleIds);
        },
      },
    ],
  });
  expect(modules.filter((id) => id.includes('/octetjs/dist/src/model/'))).not.toEqual([]);
  expect(modules.filter((id) => id.includes('/dist/src/quantize/'))).toEqual([]);
  const scripts = (await readdir(path.join(out, 'assets'))).filter((file) => file.endsWith('.js'));
  const texts = await Promise.all(scripts.map((file) => readFile(path.join(out, 'assets', file), 'utf8')));
  const page = await readFile(path.join(out, 'index.html'), 'utf8');
  const [, entry] = /<script[^>]+src="([^"]+)"/.exec(page)!;
  const gzipped = await gzippedSize(path.join(out, entry));
  console.log(
    `loadModel in a Vite page: ${(gzipped / 1000).toFixed(1)} kB gzipped, ONNX definitions included`,
  );
  expect(gzipped).toBeLessThan(115_000);
  for (const text of texts) expect(text).not.toMatch(/from\s*["']node:/);
  await showsExpectedLogits(out);
});

/** Files that a module script imports, itself included. */
async function importsOf(file: string, found = new Set<string>()): Promise<Set<string>> {
  if (found.has(file)) return found;
  found.add(file);
  const text = await readFile(file, 'utf8');
  for (const { 1: other } of text.matchAll(/(?:from|import)\s*["'](\.[^"']+\.js)["']/g)) {
    await importsOf(path.resolve(path.dirname(file), other), found);
  }
  return found;
}

/** Bytes of what a module script loads before it runs, gzipped: not of what it may `import()` later. */
async function gzippedSize(file: string): Promise<number> {
  const files = await importsOf(file);
  const texts = await Promise.all([...files].map((each) => readFile(each)));
  return texts.reduce((sum, text) => sum + gzipSync(text).length, 0);
}

test('a plain module script runs the built file, which brings no quantizer', async () => {
  const page = path.join(folder, 'node_modules/octetjs/dist/browser');
  const files = await importsOf(path.join(page, 'octet.js'));
  const texts = await Promise.all([...files].map((file) => readFile(file, 'utf8')));
  const gzipped = await gzippedSize(path.join(page, 'octet.js'));
  console.log(`dist/browser/octet.js: ${(gzipped / 1000).toFixed(1)} kB gzipped, with what it imports`);
  expect(texts.filter((text) => text.includes('Bits of a weight, 2 to 8.'))).toEqual([]);
  expect(gzipped).toBeLessThan(120_000);
  await writeFile(
    path.join(page, 'index.html'),
    `<!doctype html><script type="module">${pageScript('./octet.js')}</script>`,
  );
  await showsExpectedLogits(page);
});
