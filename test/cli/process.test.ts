/** The command line as a process of its own: exit code, streams, interruption. */
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { useWorkspace } from './workspace.ts';

const path = useWorkspace();
const sheet = 'models/cifar10/test-1000.json';
const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

function start(args: readonly string[], stdout: 'pipe' | number = 'pipe') {
  const command = ['--import', 'tsx', '--conditions=octet:source', main, ...args];
  const child = spawn(process.execPath, command, { stdio: ['ignore', stdout, 'pipe'] });
  const text = { stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (text.stdout += chunk));
  child.stderr!.setEncoding('utf8').on('data', (chunk: string) => (text.stderr += chunk));
  const ended = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
    child.once('close', (code) => resolve({ code, ...text }));
  });
  return { child, ended };
}

test('bad input: exit code 2, one message on stderr, nothing on stdout', async () => {
  const { code, stdout, stderr } = await start(['inspect', 'README.md']).ended;
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(/^error: /);
  expect(stderr).not.toMatch(/^\s+at /m);
});

test('--verbose shows where', async () => {
  const { code, stderr } = await start(['--verbose', 'inspect', 'README.md']).ended;
  expect(code).toBe(2);
  expect(stderr).toMatch(/^\s+at /m);
});

test.each([
  ['Evaluating', 'evaluate', ['-c', path('pictures'), '-i', sheet, '--batch', '1', '--backend', 'wasm']],
  ['Calibrating', 'quantize', ['-c', sheet, '-o', path('never.onnx')]],
])('Ctrl-C while it prints "%s" ends %s with exit code 130', async (progress, command, options) => {
  const { child, ended } = start([command, path('float.onnx'), ...options]);
  child.stderr!.on('data', (text: string) => {
    if (text.includes(progress)) child.kill('SIGINT');
  });
  const { code, stdout, stderr } = await ended;
  expect(stderr).toMatch(/error: interrupted/);
  expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
});

test('open serves the page and the model until Ctrl-C, and says how the page is made where it is not', async () => {
  mkdirSync(path('site'));
  writeFileSync(path('site/index.html'), '<title>page</title>');
  const { child, ended } = start(['open', path('float.onnx'), '--site', path('site')]);
  const line = await new Promise<string>((resolve) => child.stdout!.once('data', resolve));
  const [, address] = /(http:\/\/localhost:\d+\/)\?open=float\.onnx \(Ctrl-C ends\)/.exec(line)!;
  const page = await fetch(`${address}?open=float.onnx`);
  expect(await page.text()).toBe('<title>page</title>');
  expect(page.headers.get('cross-origin-embedder-policy')).toBe('require-corp');
  const model = await fetch(`${address}served/float.onnx`);
  expect(Buffer.from(await model.arrayBuffer()).equals(readFileSync(path('float.onnx')))).toBe(true);
  for (const other of ['served/other.onnx', '..%2Ffloat.onnx', 'nothing.js']) {
    expect((await fetch(`${address}${other}`)).status, other).toBe(404);
  }
  child.kill('SIGINT');
  expect(await ended).toMatchObject({ code: 0, stderr: '' });
  const missing = await start(['open', path('float.onnx'), '--site', path('pictures')]).ended;
  expect(missing).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/no built page.*build:site/) as string,
  });
});

test('a reader that leaves early is no failure', async () => {
  const { child, ended } = start(['inspect', path('float.onnx'), '--json']);
  child.stdout?.destroy();
  const { code, stderr } = await ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});

test('a disk that is full costs a message, not a stack', async () => {
  const full = openSync('/dev/full', 'w');
  const { code, stderr } = await start(['inspect', path('float.onnx'), '--json'], full).ended;
  closeSync(full);
  expect(code).toBe(2);
  expect(stderr).toBe('error: cannot write the output: no space left on the disk\n');
});
