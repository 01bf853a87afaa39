/**
 * Every snippet of README.md and docs/ does what it says, with the installed package, in a folder like its reader's: model.onnx, model.int8.onnx, model.int4.onnx,
 * photos/cat.jpg and more. A fence says what it is: `sh`, `js node`, `js browser`, `html`, `json`, `python`, `wgsl`, `example`.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Browser, Page } from 'playwright';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { errorTable, errorTablePath } from '../../scripts/error-table.ts';
import { flagship, makeFlagship } from '../../scripts/quantize-flagship.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { serveFolder } from '../support/static-server.ts';
import { launchChromium } from '../support/chromium.ts';
import { convNet } from '../support/onnx-models.ts';
import { createRandom } from '../support/random.ts';
import { installPackage } from './installed.ts';

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, '../..');

interface Snippet {
  readonly line: number;
  readonly kind: string;
  readonly text: string;
}

function snippetsOf(markdown: string): Snippet[] {
  return [...markdown.matchAll(/^```(\S.*)\n([^]*?)^```$/gm)].map(({ 1: kind, 2: text, index }) => ({
    line: markdown.slice(0, index).split('\n').length,
    kind,
    text,
  }));
}

const pages = await Promise.all(
  [
    'README.md',
    ...(await readdir(path.join(root, 'docs')))
      .filter((file) => file.endsWith('.md'))
      .map((file) => `docs/${file}`),
  ].map(async (file) => ({ file, snippets: snippetsOf(await readFile(path.join(root, file), 'utf8')) })),
);

let folder: string;
let browser: Browser;
const packageJson = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>;
  peerDependencies: Record<string, string>;
};

beforeAll(async () => {
  await makeFlagship();
  ({ folder } = await installPackage());
  // The optional peers, as `npm install octetjs onnxruntime-web` would have them.
  for (const peer of ['onnxruntime-web', 'fastify', 'prom-client']) {
    await symlink(path.join(root, 'node_modules', peer), path.join(folder, 'node_modules', peer));
  }
  const graph = convNet(5);
  const metadata = new Map([
    ['labels', 'airplane,automobile,bird,cat,deer,dog,frog,horse,ship,truck'],
    ['mean', '0.5,0.5,0.5'],
    ['std', '0.25,0.25,0.25'],
  ]);
  await writeFile(path.join(folder, 'model.onnx'), encodeModel({ ...graph, metadata }));
  await mkdir(path.join(folder, 'photos'));
  const random = createRandom(7);
  for (const name of ['cat', 'dog', 'bird', 'boat']) {
    const pixels = Uint8Array.from({ length: 48 * 32 * 3 }, () => random.int(0, 255));
    await sharp(pixels, { raw: { width: 48, height: 32, channels: 3 } })
      .jpeg()
      .toFile(path.join(folder, `photos/${name}.jpg`));
  }
  await octet('quantize', 'model.onnx', '--calibration', 'photos', '-o', 'model.int8.onnx');
  await writeFile(path.join(folder, 'recipe.json'), JSON.stringify({ weights: { bits: 4 } }));
  const few = ['--recipe', 'recipe.json', '-o', 'model.int4.onnx'];
  await octet('quantize', 'model.onnx', '--calibration', 'photos', ...few);
  await cp(flagship, path.join(folder, 'vgg16-cifar10.int8.onnx'));
  browser = await launchChromium();
});

afterAll(async () => {
  await browser?.close();
  await rm(folder, { recursive: true, force: true });
});

async function octet(...args: string[]): Promise<string> {
  const { stdout } = await run(path.join(folder, 'node_modules/.bin/octet'), args, { cwd: folder });
  expect(stdout).not.toBe('');
  return stdout;
}

/** What lines with & started. */
const background: ChildProcess[] = [];

async function runShellLine(line: string): Promise<void> {
  const [program, ...args] = line.split(/\s+/);
  if (args.at(-1) === '&') {
    expect([program, args[0]], line).toEqual(['npx', 'octet']);
    const command = path.join(folder, 'node_modules/.bin/octet');
    background.push(spawn(command, args.slice(1, -1), { cwd: folder, stdio: 'ignore' }));
    return;
  }
  if (program === 'curl') {
    const { stdout } = await run(program, args, { cwd: folder });
    expect(JSON.parse(stdout), line).toHaveProperty('predictions');
    return;
  }
  if (program === 'npx' && args[0] === 'octet') {
    const [target] = args.at(-2) === '>' ? args.splice(-2).slice(1) : [];
    const stdout = await octet(...args.slice(1));
    if (target !== undefined) await writeFile(path.join(folder, target), stdout);
    return;
  }
  if (program === 'cp') {
    await run(program, args, { cwd: folder });
    return;
  }
  if (program === 'tar') {
    // For another machine, of what this writes.
    expect(Object.keys(packageJson.scripts), line).toContain('pack:gpu-host');
    return;
  }
  expect(program, line).toBe('npm');
  if (args[0] === 'install') {
    const known = ['octetjs', ...Object.keys(packageJson.peerDependencies)];
    for (const name of args.slice(1)) expect(known, line).toContain(name);
  } else {
    const script = args[0] === 'run' ? args[1] : args[0];
    expect(Object.keys(packageJson.scripts), line).toContain(script);
  }
}

async function onPage(html: string, use: (page: Page) => Promise<void>): Promise<void> {
  await writeFile(path.join(folder, 'index.html'), html);
  const server = await serveFolder(folder, { isolated: false, prefix: '/' });
  const page = await browser.newPage();
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  // Browsers ask for one by themselves.
  await page.route('**/favicon.ico', (route) => route.fulfill({ status: 204 }));
  try {
    await page.goto(server.url);
    await use(page);
    expect(complaints).toEqual([]);
  } finally {
    await page.close();
    await server.close();
  }
}

/** An HTML page by itself: a picture is chosen where it asks for one, and it must end by naming a class. */
async function runHtml(html: string): Promise<void> {
  await onPage(html, async (page) => {
    const input = page.locator('input[type=file]');
    if (await input.count()) {
      await page.getByText(/^Ready on/).waitFor();
      await input.setInputFiles(path.join(folder, 'photos/cat.jpg'));
      await page.getByText(/\w+ \d+ %, \w+ \d+ %/).waitFor();
    } else {
      await page.waitForFunction(() => /^\w+$/.test(document.title));
    }
  });
}

async function runInBrowser(script: string): Promise<void> {
  const html = `<!doctype html><img src="photos/cat.jpg">
    <script type="importmap">{ "imports": { "octetjs": "/node_modules/octetjs/dist/browser/octet.js",
      "octetjs/quantize": "/node_modules/octetjs/dist/browser/quantize.js",
      "octetjs/extend": "/node_modules/octetjs/dist/browser/extend.js" } }</script>
    <script type="module">${script}\nwindow.finished = true;</script>`;
  await onPage(html, async (page) => {
    await page.waitForFunction(() => 'finished' in window);
  });
}

const exercise: Record<string, (text: string) => Promise<void>> = {
  async sh(text) {
    for (const line of text.split('\n')) {
      const command = line.replace(/#.*$/, '').trim();
      if (command) await runShellLine(command);
    }
    for (const child of background.splice(0)) {
      child.kill();
      expect(await once(child, 'exit'), 'a server that ends when asked to').toEqual([0, null]);
    }
  },
  async 'js node'(text) {
    await writeFile(path.join(folder, 'snippet.js'), text);
    const { stdout } = await run(process.execPath, ['snippet.js'], { cwd: folder });
    expect(stdout).not.toBe('');
  },
  'js browser': runInBrowser,
  html: runHtml,
  async wgsl(text) {
    const golden = path.join(root, 'test/golden');
    const shaders = await Promise.all(
      (await readdir(golden)).map((file) => readFile(path.join(golden, file), 'utf8')),
    );
    expect(shaders.some((shader) => shader.includes(text))).toBe(true);
  },
};

/** Tested elsewhere: test/quantize/documentation.test.ts, training/test_training.py. */
const elsewhere = /^(example \w+|json|python)$/;

const here = pages
  .map(({ file, snippets }) => ({ file, snippets: snippets.filter(({ kind }) => !elsewhere.test(kind)) }))
  .filter(({ snippets }) => snippets.length > 0);

describe.each(here)('$file', ({ snippets }) => {
  test.each(snippets)('line $line: $kind', async ({ kind, text }) => {
    expect(Object.keys(exercise), 'a fence says what it is').toContain(kind);
    await exercise[kind](text);
  });
});

test('docs/shaders.md names every shader', async () => {
  const page = await readFile(path.join(root, 'docs/shaders.md'), 'utf8');
  const files = (await readdir(path.join(root, 'shaders'))).filter((file) => file.endsWith('.wgsl.ts'));
  expect(files.filter((file) => !page.includes(`../shaders/${file}`))).toEqual([]);
});

test('the API pages can be made: every type that the public face names is public', async () => {
  await run(process.execPath, [path.join(root, 'node_modules/typedoc/bin/typedoc'), '--emit', 'none'], {
    cwd: root,
  });
});

test('docs/errors.md is as fresh as the sources', async () => {
  expect(await readFile(errorTablePath, 'utf8')).toBe(await errorTable());
});
