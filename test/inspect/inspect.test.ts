/** What inspection says of nodes: what they become, where, and why; against what the program is. */
import { gunzipSync, strFromU8 } from 'fflate';
import * as v from 'valibot';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { inspectionSchemaPath, inspectionSchemaText } from '../../scripts/inspection-schema.ts';
import { findBlocks } from '../../src/inspect/blocks.ts';
import { diffModels } from '../../src/inspect/diff-models.ts';
import { expectedTime } from '../../src/inspect/cost.ts';
import { inspectModel, withMeasuredTimes, type InspectedNode } from '../../src/inspect/inspect.ts';
import type { ReportData } from '../../src/inspect/page/data.ts';
import { toDot } from '../../src/inspect/picture.ts';
import { inspectionHtml } from '../../src/inspect/report.ts';
import { inspectionSchema } from '../../src/inspect/schema.ts';
import { deviceProfile, deviceProfiles, parseDeviceProfile } from '../../src/inspect/target.ts';
import { assumedQuantization } from '../../src/model/support.ts';
import { loadModel } from '../../src/model/load.ts';
import { hardmax } from '../../src/graph/operators/hardmax.ts';
import { createFloatGraph } from '../support/onnx-models.ts';
import { onHost, uNet } from '../support/unet.ts';

/** A residual block with batch norm, a pool, a node that runs on the host, and a dense layer with softmax. */
function network() {
  const b = createFloatGraph(11);
  const stem = b.relu(b.batchNorm(b.conv(b.input('input', ['N', 3, 12, 12]), 8)));
  const sum = b.relu(b.node('Add', [b.conv(stem, 8), stem]));
  const pooled = b.maxPool(b.relu(b.conv(sum, 8)), { kernel: 2, stride: 2 });
  const odd = b.node('Tanh', [b.conv(pooled, 8)]);
  const graph = b.finish(b.node('Softmax', [b.gemm(b.globalPool(odd), 10)], { axis: 1 }));
  return onHost(graph);
}

const float = network();
const inspection = inspectModel(float);
const nodes = (op: string): InspectedNode[] => inspection.nodes.filter((node) => node.op === op);

describe('nodes', () => {
  test('every node of the file is listed, with what it becomes and why', () => {
    expect(inspection.nodes.map(({ name }) => name)).toEqual(float.nodes.map(({ name }) => name));
    expect(nodes('Conv').map(({ stage }) => stage)).toEqual(['device', 'device', 'device', 'device']);
    expect(nodes('Conv')[0].reason).toMatch(/^conv2d by \S+ in dot4I8Packed, the default of \d+ kernels$/);
    expect(nodes('BatchNormalization')[0].reason).toMatch(/part of the operation|folded into/);
    expect(nodes('Hardmax')[0]).toMatchObject({
      stage: 'host',
      reason: expect.stringMatching(/cannot run this operator in integers/) as string,
    });
    expect(nodes('Flatten')[0]).toMatchObject({ stage: 'none', operations: [] });
    expect(nodes('Softmax')[0]).toMatchObject({ stage: 'host' });
  });

  test('what is joined points at the operation that does its work', () => {
    const own = (node: InspectedNode) => node.operations.map((index) => inspection.operations[index].name);
    const convolutions = nodes('Conv');
    expect(own(nodes('Add')[0])).toEqual([convolutions[1].name]);
    expect(own(nodes('MaxPool')[0])).toEqual([convolutions[2].name]);
  });

  test('edges run through quantization', () => {
    const [stem] = nodes('Conv');
    expect(stem.reads).toEqual(['input']);
    const quantized = inspectModel(assumedQuantization(float));
    expect(quantized.nodes.find(({ op }) => op === 'Conv')?.reads).toEqual(['input']);
    // Only the one where the host stage begins is listed: it reads integers as real numbers.
    const pairs = quantized.nodes.filter(({ op }) => op.endsWith('uantizeLinear'));
    expect(pairs.length).toBeLessThan(4);
    for (const { stage } of pairs) expect(stage).toBe('host');
  });

  test('a model that is refused: which node, and why', () => {
    const quantized = assumedQuantization(float);
    const [, scale] = quantized.nodes.find(({ op }) => op === 'QuantizeLinear')!.inputs;
    const zero = { ...quantized.constants.get(scale)!, data: Float32Array.of(0) };
    const bad = { ...quantized, constants: new Map(quantized.constants).set(scale, zero) };
    const { problems, nodes: all, operations } = inspectModel(bad);
    expect(problems.length).toBeGreaterThan(0);
    expect(operations).toEqual([]);
    expect(all.find(({ name }) => name === problems[0].node)).toMatchObject({ stage: 'refused' });
  });
});

describe('operations', () => {
  test('are those of the program that runs, with its sums', async () => {
    const quantized = assumedQuantization(float);
    const { operations, totals } = inspectModel(quantized, { target: 'wasm', batch: 2 });
    using model = await loadModel(quantized, { backend: 'wasm', threads: 1 });
    const plan = await model.plan(2);
    expect(operations.map(({ name, kind, macs }) => ({ name, kind, macs }))).toEqual(
      plan.operations.map(({ name, kind, macs }) => ({ name, kind, macs })),
    );
    expect(totals.macs).toBe(plan.operations.reduce((sum, { macs }) => sum + macs, 0));
    const profile = await model.profile({ batch: 2, repetitions: 1 });
    const measured = withMeasuredTimes(inspectModel(quantized, { target: 'wasm', batch: 2 }), profile);
    expect(measured.totals.measuredMs).toBe(profile.totalMs);
    expect(measured.operations.map(({ measuredMs }) => measuredMs)).toEqual(
      profile.operations.map(({ ms }) => ms),
    );
  });

  test('no accumulator of a run is larger than its bound, and some come near', () => {
    const b = createFloatGraph(5);
    const graph = b.finish(b.gemm(b.globalPool(b.conv(b.input('input', ['N', 3, 6, 6]), 4)), 3));
    const quantized = assumedQuantization(graph);
    const { operations } = inspectModel(quantized);
    const last = operations.at(-1)!;
    expect(last.output.type).toBe('accumulator');
    // By hand: |bias| + 128 · Σ|w| of the worst channel.
    const weights = [...quantized.constants.values()].find(({ shape }) => shape.join() === '3,4')!;
    const sums = [0, 1, 2].map((o) =>
      Array.from(weights.data.slice(o * 4, o * 4 + 4), Number).reduce((sum, w) => sum + Math.abs(w), 0),
    );
    expect(last.accumulatorBound).toBeGreaterThanOrEqual(128 * Math.max(...sums));
    expect(last.accumulatorBound).toBeLessThan(128 * Math.max(...sums) + 2 ** 20);
  });
});

describe('targets', () => {
  test.each(deviceProfiles.map(({ name }) => name))('%s plans the model', (target) => {
    const { operations, totals } = inspectModel(float, { target });
    expect(operations.length).toBeGreaterThan(0);
    expect(totals.expectedMs).toBeGreaterThan(0);
    const families = new Set(operations.map(({ family }) => family));
    // Metal emulates the packed dot, the others lack it.
    if (target === 'webgpu' || target === 'webgpu-subgroup-matrix') {
      expect(families).toContain('dot4I8Packed');
    } else if (target !== 'webgpu-software') expect(families).not.toContain('dot4I8Packed');
  });

  test('a file of a device is read back; what is wrong in one is named', () => {
    const profile = deviceProfile('wasm');
    expect(parseDeviceProfile(JSON.stringify(profile))).toEqual(profile);
    expect(() => parseDeviceProfile('{')).toThrow(/not JSON/);
    expect(() => parseDeviceProfile({ ...profile, wasm: { relaxedDot: 'i9', threads: 0 } })).toThrow(
      /relaxedDot must be one of/,
    );
    expect(() => inspectModel(float, { target: 'toaster' })).toThrow(
      /no device profile "toaster".*webgpu-apple/,
    );
  });

  test('the roofline, by hand', () => {
    const profile = deviceProfile('wasm');
    const rates = {
      ...profile.rates,
      peakGmacs: { simd: 10 },
      efficiency: 0.5,
      bandwidth: 2,
      dispatchMicroseconds: 100,
    };
    const target = { ...profile, rates };
    const work = { macs: 5e6, bytes: 1e6, dispatches: 2, family: null };
    // 5e6 / 5e9 = 1 ms of arithmetic, 0.5 ms of memory, 0.2 ms of dispatches.
    expect(expectedTime(work, target)).toEqual({ ms: 1.2, limit: 'arithmetic' });
    expect(expectedTime({ ...work, bytes: 4e6 }, target)).toEqual({ ms: 2.2, limit: 'memory' });
    expect(expectedTime({ ...work, macs: 0, bytes: 1e3 }, target).limit).toBe('dispatch');
  });
});

describe('blocks', () => {
  const node = (name: string, reads: readonly string[], shape: readonly (string | number)[], macs = 1) => ({
    ...inspection.nodes[0],
    ...{ name, reads, shape, macs },
  });
  const names = (list: readonly InspectedNode[]) =>
    findBlocks(list).map((block) => [block.name, ...block.nodes.map((index) => list[index].name)]);

  test('are modules by name; a lone addition goes with the latest that it reads', () => {
    const list = ['a', 'b', 'c'].flatMap((module, i) => [
      node(`/blocks/${module}/conv1/Conv`, i ? [`/add_${i - 1}/Add`] : ['input'], ['N', 4, 8, 8]),
      node(`/blocks/${module}/conv2/Conv`, [`/blocks/${module}/conv1/Conv`], ['N', 4, 8, 8]),
      node(
        `/add_${i}/Add`,
        [...(i ? [`/add_${i - 1}/Add`] : []), `/blocks/${module}/conv2/Conv`],
        ['N', 4, 8, 8],
        0,
      ),
    ]);
    expect(names(list)).toEqual(
      ['a', 'b', 'c'].map((module, i) => [
        `blocks/${module}`,
        ...[`/blocks/${module}/conv1/Conv`, `/blocks/${module}/conv2/Conv`, `/add_${i}/Add`],
      ]),
    );
  });

  test('or nodes of one size, where names say nothing', () => {
    const sizes = [8, 8, 4, 4, 8, 8];
    const list = sizes.map((size, i) => node(`Conv_${i}`, [i ? `Conv_${i - 1}` : 'x'], ['N', 4, size, size]));
    expect(names(list)).toEqual([
      ['8×8', 'Conv_0', 'Conv_1'],
      ['4×4', 'Conv_2', 'Conv_3'],
      ['8×8 (2)', 'Conv_4', 'Conv_5'],
    ]);
    expect(findBlocks(list.slice(0, 2))).toEqual([]);
  });
});

describe('two versions', () => {
  const changed = { ...inspection, operations: [...inspection.operations] };
  changed.operations[0] = { ...changed.operations[0], checksum: '00000000', dispatches: 9 };

  test('figures that differ are named, layer by layer', () => {
    const { layers } = diffModels(inspection, changed);
    expect(layers.filter(({ differs }) => differs.length > 0)).toMatchObject([
      { name: inspection.operations[0].name, differs: ['checksum'] },
    ]);
    expect(diffModels(inspection, inspection).layers.every(({ differs }) => differs.length === 0)).toBe(true);
  });

  test('a node that one lacks is new or gone; models without a layer in common are refused', () => {
    const short = { ...inspection, nodes: inspection.nodes.slice(1) };
    const [first] = inspection.nodes;
    expect(diffModels(short, inspection).layers[0]).toMatchObject({ name: first.name, before: null });
    expect(diffModels(inspection, short).layers.at(-1)).toMatchObject({ name: first.name, after: null });
    const renamed = inspection.nodes.map((each, i) => ({ ...each, name: `n${i}`, value: `v${i}` }));
    expect(() => diffModels(inspection, { ...inspection, nodes: renamed })).toThrow(/no layer of the same/);
  });
});

test('the text of each kernel, where it is asked for', () => {
  const texts = (target: string) =>
    inspectModel(float, { target, kernels: true }).operations.map(({ kernel, kernelText }) =>
      kernel === null ? kernelText === null : (kernelText ?? ''),
    );
  for (const text of texts('webgpu')) if (text !== true) expect(text).toMatch(/workgroups\n[^]*@compute/);
  for (const text of texts('wasm')) if (text !== true) expect(text).toMatch(/^\w+\(.*\) \/\/ \d+ units/m);
  expect(inspection.operations.every(({ kernelText }) => kernelText === null)).toBe(true);
});

test('a U-Net with a stage on the host: where the device waits, and a report of it', async () => {
  const unet = inspectModel(uNet(16), { kernels: true });
  expect(unet.nodes.filter(({ op }) => op === hardmax.op)).toMatchObject([{ stage: 'host' }]);
  expect(unet.totals.hostStages).toBe(1);
  const kernels = unet.operations.reduce((sum, { expected }) => sum + expected.ms, 0);
  expect(unet.totals.expectedMs).toBeCloseTo(kernels + unet.target.rates.hostMicroseconds / 1e3, 9);
  expect(findBlocks(unet.nodes).map(({ name }) => name)).toEqual(
    expect.arrayContaining(['16×16', '8×8', '4×4']),
  );
  const html = await inspectionHtml(unet);
  expect(html.length).toBeLessThan(300_000);
  const [, data] = /<script id="data" type="application\/json">([^]*?)<\/script>/.exec(html)!;
  const { blocks, kernels: texts } = JSON.parse(data) as ReportData;
  expect(blocks!.inside).toHaveLength(blocks!.list.length);
  const unpacked = JSON.parse(strFromU8(gunzipSync(Buffer.from(texts!, 'base64')))) as unknown[];
  expect(unpacked).toEqual(unet.operations.map(({ kernelText }) => kernelText));
});

describe('forms', () => {
  test('JSON keeps to the published schema, which is fresh: otherwise run "npm run docs"', async () => {
    v.parse(inspectionSchema, JSON.parse(JSON.stringify(inspection)));
    expect(() => v.parse(inspectionSchema, { ...inspection, batch: '1' })).toThrow();
    expect(readFileSync(inspectionSchemaPath, 'utf8')).toBe(await inspectionSchemaText());
  });

  test('hostile names stay text, in DOT and in HTML', async () => {
    const evil = '</script><img src=x onerror=alert(1)>"\\';
    const renamed = inspection.nodes.map((node, index) =>
      index === 0 ? { ...node, name: evil, op: evil } : node,
    );
    const hostile = { ...inspection, nodes: renamed, model: { ...inspection.model, name: evil } };
    expect(toDot(hostile)).toContain('onerror=alert(1)>\\"\\\\');
    const html = await inspectionHtml(hostile);
    expect(html).not.toContain('<img');
    expect(html.match(/<script/g)).toHaveLength(2);
  });
});
