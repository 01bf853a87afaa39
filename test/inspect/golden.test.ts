/** Golden packs: made on one backend, verified on another; wrong kernels and changed tensors are found and named. */
import { strFromU8, strToU8, unzipSync, zipSync } from 'fflate';
import { beforeAll, describe, expect, test } from 'vitest';
import { makeGoldenPack, verifyGoldenPack } from '../../src/inspect/golden.ts';
import { logicalOrder } from '../../src/inspect/logical.ts';
import { decodeNpy, encodeNpy } from '../../src/inspect/npy.ts';
import { assumedQuantization } from '../../src/model/support.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { maxPool2d } from '../../src/ops/maxPool2d/index.ts';
import type { Operator } from '../../src/ops/operator.ts';
import { logicalValues } from '../../src/program/input.ts';
import type { MaxPool2dOperation, ProgramTensor } from '../../src/program/program.ts';
import { createFloatGraph } from '../support/onnx-models.ts';
import { createRandom } from '../support/random.ts';

interface Manifest {
  cases: { name: string; tensors: { name: string; sha256: string }[] }[];
}

let model: Uint8Array;
let pack: Uint8Array;
let names: string[];

const random = createRandom(4);
const cases = ['first', 'second'].map((name) => ({
  name,
  inputs: { input: Float32Array.from({ length: 3 * 81 }, () => random.int(0, 1000) / 1000) },
}));

const manifestOf = (files: Record<string, Uint8Array>) =>
  JSON.parse(strFromU8(files['golden.json'])) as Manifest;
const repacked = (files: Record<string, Uint8Array>, manifest: Manifest) =>
  zipSync({ ...files, 'golden.json': strToU8(JSON.stringify(manifest)) });

beforeAll(async () => {
  const b = createFloatGraph(8);
  const stem = b.relu(b.conv(b.input('input', ['N', 3, 9, 9]), 5));
  const pooled = b.maxPool(stem, { kernel: 3, stride: 1 });
  model = encodeModel(assumedQuantization(b.finish(b.gemm(b.globalPool(b.relu(b.conv(pooled, 6))), 4))));
  pack = await makeGoldenPack(model, cases, { backend: 'reference' });
  names = manifestOf(unzipSync(pack)).cases[0].tensors.map(({ name }) => name);
});

/** The built-in max pool, one off in one element. */
const wrongPool: Operator<MaxPool2dOperation> = {
  ...maxPool2d,
  kind: 'wrongPool' as 'maxPool2d',
  lower: (node, context) =>
    maxPool2d.lower(
      node,
      new Proxy(context, {
        get: (target, key) => {
          if (key === 'emit')
            return (operation: object) => target.emit({ ...operation, kind: 'wrongPool' } as never);
          const member: unknown = Reflect.get(target, key);
          return typeof member === 'function' ? (member.bind(target) as unknown) : member;
        },
      }),
    ),
  reference(operation, context) {
    maxPool2d.reference(operation, context);
    context.buffer(operation.output)[1] ^= 1;
  },
};

describe('a golden pack', () => {
  test('verifies on another backend, with a line to quote', async () => {
    const found = await verifyGoldenPack(pack, { backend: 'wasm', threads: 1 });
    expect(found).toMatchObject({ equal: true, backend: 'wasm', cases: 2, firstDiffering: null });
    expect(found.tensors).toBe(2 * names.length);
    expect(found.line).toMatch(
      /^verified: .* 2 cases, .* none|^verified: .* on wasm, Octet .*; sha256 [0-9a-f]{64}$/,
    );
    expect(found.line).toBe((await verifyGoldenPack(pack, { backend: 'wasm', threads: 1 })).line);
  });

  test('is the same file each time, on whatever backend', async () => {
    expect(await makeGoldenPack(model, cases, { backend: 'reference' })).toEqual(pack);
    const other = unzipSync(await makeGoldenPack(model, cases, { backend: 'wasm' }));
    expect(manifestOf(other).cases).toEqual(manifestOf(unzipSync(pack)).cases);
  });

  test('finds a wrong kernel, and names the first tensor that it spoils', async () => {
    const found = await verifyGoldenPack(pack, { backend: 'reference', operators: [wrongPool] });
    const pool = names.find((name) => name.startsWith('maxpool'));
    expect(found.equal).toBe(false);
    expect(found.firstDiffering).toEqual({ case: 'first', tensor: pool });
    expect(found.report).toMatch(
      /1 of \d+ elements differ, by at most 1\n {2}first at \(n 0, h 0, w 0, c 1\)/,
    );
    expect(found.line).toMatch(/^DIFFERS at /);
  });

  test('says what a changed pack has in it', async () => {
    const files = unzipSync(pack);
    const manifest = manifestOf(files);
    manifest.cases[1].tensors[2].sha256 = '0'.repeat(64);
    const found = await verifyGoldenPack(repacked(files, manifest), { backend: 'reference' });
    expect(found.firstDiffering).toEqual({ case: 'second', tensor: names[2] });
    expect(found.report).toMatch(/the reference here differs from it too/);
  });

  test('with tensors: .npy files, and a report from them', async () => {
    const files = unzipSync(await makeGoldenPack(model, cases, { backend: 'reference', withTensors: true }));
    const { data, shape } = decodeNpy(files['case-0-tensor-1.npy'], 'tensor');
    expect(shape.reduce((product, size) => product * size, 1)).toBe(data.length);
    const found = await verifyGoldenPack(zipSync(files), { backend: 'reference', operators: [wrongPool] });
    expect(found.report).toMatch(/1 of \d+ elements differ, first at \d+: -?\d+, expected -?\d+/);
  });

  test('without its model takes that model, and no other', async () => {
    const bare = await makeGoldenPack(model, cases, { backend: 'reference', withModel: false });
    await expect(verifyGoldenPack(bare)).rejects.toThrow(/without its model/);
    expect(await verifyGoldenPack(bare, { model, backend: 'reference' })).toMatchObject({ equal: true });
    const other = Uint8Array.from([...model, 0x7a, 0x00]);
    await expect(verifyGoldenPack(bare, { model: other })).rejects.toThrow(/of another model/);
  });

  test('of a model with open sizes: each case at its own, told by the inputs alone', async () => {
    const b = createFloatGraph(8);
    const pooled = b.maxPool(b.relu(b.conv(b.input('input', ['N', 3, 8, 8]), 5)), { kernel: 2, stride: 2 });
    const graph = assumedQuantization(b.finish(b.gemm(b.globalPool(pooled), 4)));
    const inputs = graph.inputs.map((input) => ({ ...input, shape: ['N', 3, 'height', 'width'] }));
    const metadata = new Map([
      ['mean', '0,0,0'],
      ['std', '1,1,1'],
    ]);
    const open = encodeModel({ ...graph, inputs, metadata });
    const pixels = Uint8Array.from({ length: 2 * 3 * 80 }, () => random.int(0, 255));
    const values = Float32Array.from({ length: 3 * 80 }, () => random.int(0, 1000) / 1000);
    const given = [
      { name: 'pixels', inputs: { input: { pixels, height: 10, width: 8 } } },
      { name: 'picture', inputs: { input: { width: 10, height: 8, data: pixels.subarray(240) } } },
      { name: 'values', inputs: { input: { data: values, shape: [1, 3, 8, 10] } } },
    ];
    const made = await makeGoldenPack(open, given, { backend: 'reference' });
    const files = unzipSync(made);
    expect(decodeNpy(files['case-0-input-0.npy'], 'pixels').shape).toEqual([2, 10, 8, 3]);
    expect(decodeNpy(files['case-1-input-0.npy'], 'picture').shape).toEqual([1, 8, 10, 3]);
    expect(decodeNpy(files['case-2-input-0.npy'], 'values').shape).toEqual([1, 3, 8, 10]);
    const found = await verifyGoldenPack(made, { backend: 'wasm', threads: 1 });
    expect(found).toMatchObject({ equal: true, cases: 3 });
    const manifest = manifestOf(files);
    manifest.cases[1].tensors[1].sha256 = '0'.repeat(64);
    const changed = await verifyGoldenPack(repacked(files, manifest), { backend: 'reference' });
    expect(changed.firstDiffering).toMatchObject({ case: 'picture' });
    expect(changed.report).toMatch(/the reference here differs from it too/);
  });

  test('damaged and hostile packs are refused', async () => {
    const files = unzipSync(pack);
    const refused = (bytes: Uint8Array, message: RegExp) =>
      expect(verifyGoldenPack(bytes, { backend: 'reference' })).rejects.toThrow(message);
    await refused(strToU8('not a zip'), /no golden pack/);
    await refused(pack.slice(0, pack.length - 40), /no golden pack/);
    await refused(zipSync({ 'golden.json': strToU8('{}') }), /golden\.json: /);
    const { 'case-0-input-0.npy': input, ...rest } = files;
    await refused(zipSync(rest), /lacks case-0-input-0\.npy/);
    await refused(zipSync({ ...rest, 'case-0-input-0.npy': input.slice(0, -1) }), /no whole \.npy file/);
    const manifest = manifestOf(files);
    manifest.cases[0].tensors[0].name = 'nothing';
    await refused(repacked(files, manifest), /tensor "nothing", which the model does not compute/);
  });
});

test('.npy files are what NumPy writes', () => {
  const bytes = encodeNpy({ data: Int32Array.of(1, -2, 3), shape: [3] });
  expect([...bytes.subarray(0, 8)]).toEqual([0x93, ...strToU8('NUMPY'), 1, 0]);
  const header = strFromU8(bytes.subarray(10, 128));
  expect(header).toMatch(/^\{'descr': '<i4', 'fortran_order': False, 'shape': \(3,\), \} *\n/);
  expect(bytes.length % 64).toBe(12);
  for (const data of [Int8Array.of(-1, 2), Uint8Array.of(255, 0), Float32Array.of(0.5, -0)]) {
    expect(decodeNpy(encodeNpy({ data, shape: [2, 1] }), 'x')).toEqual({ data, shape: [2, 1] });
  }
});

test('the logical order is that of outputs', () => {
  const tensor: ProgramTensor = {
    id: 0,
    name: 't',
    shape: ['N', 5, 6],
    type: 'int8',
    scale: 1,
    zeroPoint: 0,
    image: [2, 3, 5],
    strides: [15, 1, 3],
  };
  const stored = Int8Array.from({ length: 2 * 6 * 8 }, (_, i) => i);
  const bare = Int8Array.from(stored.filter((_, i) => i % 8 < 5));
  expect(logicalOrder(tensor, bare, 2)).toEqual(logicalValues(tensor, stored, 2));
});
