/** What happens around runs: buffers, overlap, aborts, lost devices, other people's devices, wrong kernels. */
import { LoadedModel } from '../../../src/model/loaded-model.ts';
import { compareBackends } from '../../../src/model/compare.ts';
import type { Session, SessionInput } from '../../../src/schedule/session.ts';
import type { GpuVariant } from '../../../src/ops/gpu-kernel.ts';
import type { TensorBuffer } from '../../../src/program/program.ts';
import type { OperatorRegistry } from '../../../src/ops/registry.ts';
import { webgpuKernelOf } from '../../../src/ops/webgpu-kernels.ts';
import { byteCount } from '../../../src/program/program.ts';
import type { IntegerProgram, TensorId } from '../../../src/program/program.ts';
import type { ProgressEvent } from '../../../src/progress.ts';
import { createReferenceSession } from '../../../src/reference/session.ts';
import { bufferUsage, mapModeRead } from '../../../src/webgpu/flags.ts';
import { createWebgpuSession, openWebgpuBackend } from '../../../src/webgpu/backend.ts';
import { measureDispatch, measureTraffic } from '../../../src/webgpu/traffic.ts';
import { createRandom } from '../../support/random.ts';
import { randomProgram } from '../../support/random-program.ts';
import { Checks, countLive, describeAdapter, randomInputs, registry, withDevice } from './suite.ts';
import type { Suite } from './suite.ts';

/** One input of three channels and a few operations of several kinds. */
const program = randomProgram(24, 3);

export const lifecycle: Suite = async () => {
  const checks = new Checks();
  let adapter = '';
  const parts: Record<string, () => Promise<void>> = {
    buffers: () => buffers(checks),
    'runs in flight': () => inFlight(checks),
    abort: () => abort(checks),
    'a lost device is replaced': () => lostDevice(checks),
    "the user's device": () => usersDevice(checks),
    'dispose during a run': () => disposeDuringRun(checks),
    'a planted wrong variant': () => plantedVariant(checks),
    'a kernel that does not compile': () => brokenKernel(checks),
    'buffers in and out': () => gpuBuffers(checks),
    'two programs on one device': () => twoPrograms(checks),
    'a batch beyond the limits': () => splitBatch(checks),
    'an adapter that tells no subgroup sizes': () => silentAdapter(checks),
    'runs 1, 2 and 500': () => manyRuns(checks),
    tuner: () => tuner(checks),
    profile: () => profile(checks),
  };
  await withDevice((open) => {
    adapter = describeAdapter(open);
    return Promise.resolve();
  });
  for (const [name, run] of Object.entries(parts)) await checks.part(name, run);
  return { adapter, cases: checks.cases, failures: checks.failures };
};

/** What the reference makes of the inputs. */
async function truth(
  inputs: ReadonlyMap<TensorId, SessionInput>,
  batch: number,
): Promise<ReadonlyMap<TensorId, TensorBuffer>> {
  using reference = createReferenceSession(program, registry);
  return (await reference.run(inputs, { batch })).tensors;
}

function same(
  actual: ReadonlyMap<TensorId, TensorBuffer>,
  expected: ReadonlyMap<TensorId, TensorBuffer>,
): boolean {
  return [...expected].every(([id, buffer]) => {
    const other = actual.get(id);
    return other?.length === buffer.length && buffer.every((value, index) => value === other[index]);
  });
}

/** Pixels of the program's input, and the table that quantizes them. */
function pixelInputs(batch: number, seed: number): Map<TensorId, SessionInput> {
  const random = createRandom(seed);
  return new Map(
    program.inputs.map(({ tensor }) => {
      const [height, width, channels] = program.tensors[tensor].image;
      const pixels = Uint8Array.from({ length: batch * height * width * channels }, () => random.int(0, 255));
      const table = Int8Array.from({ length: channels * 256 }, () => random.int(-128, 127));
      return [tensor, { kind: 'pixels', pixels, table }];
    }),
  );
}

function buffers(checks: Checks): Promise<void> {
  return withDevice(async ({ device }) => {
    const live = countLive(device);
    const session = await createWebgpuSession(program, registry, { device });
    const all = program.tensors.map(({ id }) => id);
    for (let run = 0; run < 100; run++) {
      const batch = 1 + (run % 12);
      const inputs = run % 2 === 0 ? randomInputs(program, batch, run) : pixelInputs(batch, run);
      const result = await session.run(inputs, { batch, ...(run % 10 === 3 && { tensors: all }) });
      if (run % 10 === 3)
        checks.that(same(result.tensors, await truth(inputs, batch)), `run ${run} is wrong`);
    }
    checks.that(live.buffers > 0 && live.bytes > 0, 'the counter counts nothing');
    checks.that(live.buffers < 200, `${live.buffers} buffers are alive after 100 runs of 12 batch sizes`);
    session.dispose();
    session.dispose();
    checks.that(live.buffers === 0, `${live.buffers} buffers are alive after dispose`);
    checks.that(live.bytes === 0, `${live.bytes} bytes are alive after dispose`);
  });
}

function inFlight(checks: Checks): Promise<void> {
  return withDevice(async ({ device }) => {
    const live = countLive(device);
    const session = await createWebgpuSession(program, registry, { device });
    const started = Array.from({ length: 24 }, (_, run) => {
      const batch = 1 + (run % 3);
      const inputs = run % 2 === 0 ? pixelInputs(batch, run) : randomInputs(program, batch, run);
      return { run, batch, inputs, result: session.run(inputs, { batch }) };
    });
    for (const { run, batch, inputs, result } of started) {
      checks.that(
        same((await result).tensors, await truth(inputs, batch)),
        `run ${run} of 24 at once is wrong`,
      );
    }
    session.dispose();
    checks.that(live.buffers === 0, `${live.buffers} buffers are alive after runs in flight and dispose`);
  });
}

function abort(checks: Checks): Promise<void> {
  return withDevice(async ({ device }) => {
    const live = countLive(device);
    const session = await createWebgpuSession(program, registry, { device });
    const inputs = randomInputs(program, 2, 1);
    await checks.rejects(
      'a run with an aborted signal',
      session.run(inputs, { batch: 2, signal: AbortSignal.abort(new TypeError('enough')) }),
      'TypeError',
      /enough/,
    );
    const controller = new AbortController();
    const runs = Array.from({ length: 8 }, () =>
      session.run(inputs, { batch: 2, signal: controller.signal }),
    );
    controller.abort();
    for (const run of runs) await checks.rejects('an aborted run', run, 'AbortError', /abort/i);
    const { tensors } = await session.run(inputs, { batch: 2 });
    checks.that(same(tensors, await truth(inputs, 2)), 'the run after aborted ones is wrong');
    session.dispose();
    checks.that(live.buffers === 0, `${live.buffers} buffers are alive after aborted runs and dispose`);
    await checks.rejects(
      'loading with an aborted signal',
      createWebgpuSession(program, registry, { device, signal: AbortSignal.abort() }),
      'AbortError',
      /abort/i,
    );
    checks.that(live.buffers === 0, `${live.buffers} buffers are alive after an aborted load`);
  });
}

async function lostDevice(checks: Checks): Promise<void> {
  using session = await createWebgpuSession(program, registry);
  const inputs = pixelInputs(2, 5);
  const expected = await truth(inputs, 2);
  checks.that(same((await session.run(inputs, { batch: 2 })).tensors, expected), 'a run before the loss');
  const { open } = await session.runtime();
  const running = Array.from({ length: 6 }, () => session.run(inputs, { batch: 2 }));
  open.device.destroy();
  for (const run of await Promise.allSettled(running)) {
    // One whose result was on its way already may still arrive.
    const fine =
      run.status === 'fulfilled'
        ? same(run.value.tensors, expected)
        : (run.reason as Error).name === 'DeviceError' && (run.reason as Error).message.includes('lost');
    checks.that(fine, `a run during the loss: ${run.status === 'rejected' ? String(run.reason) : 'wrong'}`);
  }
  checks.that(running.length === 6, 'all runs have ended');
  await open.lost;
  checks.that(same((await session.run(inputs, { batch: 2 })).tensors, expected), 'a run after the loss');
  checks.that((await session.runtime()).open !== open, 'the device was not replaced');
}

async function usersDevice(checks: Checks): Promise<void> {
  await withDevice(async ({ device }) => {
    let lost = false;
    void device.lost.then(() => (lost = true));
    const inputs = randomInputs(program, 1, 2);
    const first = await createWebgpuSession(program, registry, { device });
    await first.run(inputs, { batch: 1 });
    first.dispose();
    await device.queue.onSubmittedWorkDone();
    checks.that(!lost, "dispose destroyed the user's device");
    const second = await createWebgpuSession(program, registry, { device });
    const { tensors } = await second.run(inputs, { batch: 1 });
    checks.that(same(tensors, await truth(inputs, 1)), 'a second session on the same device is wrong');
    device.destroy();
    await device.lost;
    for (const attempt of ['first', 'second']) {
      await checks.rejects(
        `the ${attempt} run on a lost device of the user's`,
        second.run(inputs, { batch: 1 }),
        'DeviceError',
        /lost.*yours/,
      );
    }
    second.dispose();
  });
}

async function disposeDuringRun(checks: Checks): Promise<void> {
  const session = await createWebgpuSession(program, registry);
  const inputs = randomInputs(program, 1, 3);
  const runs = Array.from({ length: 6 }, () => session.run(inputs, { batch: 1 }));
  // Lets the first ones be submitted.
  await Promise.resolve();
  session.dispose();
  for (const run of runs) await checks.rejects('a run when disposed of', run, 'DeviceError', /disposed/);
  await checks.rejects('a run after dispose', session.run(inputs, { batch: 1 }), 'DeviceError', /disposed/);
}

/** The registry with one kind's GPU kernel exchanged. */
function withVariants(kind: string, change: (variant: GpuVariant) => GpuVariant): OperatorRegistry {
  return {
    operators: registry.operators,
    of(operation) {
      const operator = registry.of(operation);
      const kernel = webgpuKernelOf(registry, operation);
      if (operation.kind !== kind || !kernel) return operator;
      return {
        ...operator,
        webgpu: { ...kernel, variants: (...args) => kernel.variants(...args).map(change) },
      };
    },
  };
}

function modelOf(session: Session, of: IntegerProgram, operators: OperatorRegistry = registry): LoadedModel {
  return new LoadedModel({
    program: of,
    operators,
    session,
    backendReason: 'for a test',
    labels: [],
    preprocessing: { mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] },
  });
}

/** Random integers for every input, as the public API takes them. */
function publicInputs(of: IntegerProgram, batch: number): Record<string, Int8Array> {
  const random = createRandom(batch);
  return Object.fromEntries(
    of.inputs.map(({ name, tensor }) => {
      const [height, width, channels] = of.tensors[tensor].image;
      const length = batch * height * width * channels;
      return [name, Int8Array.from({ length }, () => random.int(-128, 127))];
    }),
  );
}

/** Programs of one network hold its weights once, and one goes without the other. */
function twoPrograms(checks: Checks): Promise<void> {
  return withDevice(async ({ device }) => {
    const live = countLive(device);
    const backend = await openWebgpuBackend(registry, { device });
    // Their operations are objects of their own; the weights in them are not.
    const programs = [program, program].map((each) => ({
      ...each,
      operations: each.operations.map((operation) => ({ ...operation })),
    }));
    const inputs = randomInputs(program, 1, 3);
    const expected = await truth(inputs, 1);
    const [first, second] = programs.map((each) => backend.session(each));
    checks.that(
      same((await first.run(inputs, { batch: 1 })).tensors, expected),
      'the first program is wrong',
    );
    const weights = program.operations.reduce((sum, each) => sum + ('weights' in each ? 1 : 0), 0);
    const { buffers } = live;
    checks.that(
      same((await second.run(inputs, { batch: 1 })).tensors, expected),
      'the second program is wrong',
    );
    checks.that(
      weights > 0 && live.buffers === 2 * buffers - weights,
      `${live.buffers} buffers of two programs, ${buffers} of one, which has ${weights} layers with weights`,
    );
    first.dispose();
    checks.that(
      live.buffers === buffers,
      `${live.buffers} buffers of the second program alone, not ${buffers}`,
    );
    checks.that(
      same((await second.run(inputs, { batch: 1 })).tensors, expected),
      'the second is wrong without the first',
    );
    second.dispose();
    backend.dispose();
    checks.that(live.buffers === 0, `${live.buffers} buffers are alive after two programs`);
  });
}

function plantedVariant(checks: Checks): Promise<void> {
  return withDevice(async ({ device }) => {
    // One bit of every word of the first constant, the weights, is flipped.
    const wrong = withVariants('conv2d', (variant) => ({
      ...variant,
      constants: variant.constants.map(({ key, data }, index) => ({
        key: `planted ${key}`,
        data: () => (index === 0 ? data().map((word: number) => word ^ 1) : data()),
      })),
    }));
    const deep = randomProgram(11);
    const firstConv = deep.operations.find(({ kind }) => kind === 'conv2d')!;
    const expected = deep.tensors[firstConv.output].name;
    const inputs = publicInputs(deep, 3);
    using planted = modelOf(await createWebgpuSession(deep, wrong, { device }), deep, wrong);
    using sound = modelOf(await createWebgpuSession(deep, registry, { device }), deep);
    using reference = modelOf(createReferenceSession(deep, registry), deep);
    const { firstDiffering, report } = await compareBackends(planted, reference, inputs);
    checks.that(
      firstDiffering?.name === expected,
      `found at ${firstDiffering?.name}, planted at ${expected}`,
    );
    checks.that(report.includes(`"${expected}"`), `the report does not name the tensor: ${report}`);
    const verified = await planted.verify(inputs);
    checks.that(verified.firstDiffering?.name === expected, `verify says: ${verified.report}`);
    const comparison = await compareBackends(sound, reference, inputs);
    checks.that(comparison.equal, comparison.report);
  });
}

async function brokenKernel(checks: Checks): Promise<void> {
  await withDevice(async ({ device }) => {
    const live = countLive(device);
    const kind = program.operations[0].kind;
    const broken = withVariants(kind, (variant) => ({
      ...variant,
      dispatches: variant.dispatches.map((dispatch) => ({ ...dispatch, code: `${dispatch.code} nonsense` })),
    }));
    await checks.rejects(
      'a kernel that does not compile',
      createWebgpuSession(program, broken, { device }),
      'DeviceError',
      /compiling kernel/,
    );
    checks.that(live.buffers === 0, `${live.buffers} buffers are alive after a failed load`);
  });
}

function gpuBuffers(checks: Checks): Promise<void> {
  return withDevice(async ({ device }) => {
    const live = countLive(device);
    const model = modelOf(await createWebgpuSession(program, registry, { device }), program);
    const batch = 3;
    const inputs: Record<string, { pixels: Uint8Array }> = {};
    const onGpu: Record<string, { pixels: GPUBuffer; batch: number }> = {};
    const random = createRandom(4);
    for (const { name, height, width, channels } of model.inputs) {
      const pixels = Uint8Array.from({ length: batch * height * width * channels }, () => random.int(0, 255));
      const size = (pixels.length + 3) & ~3;
      const buffer = device.createBuffer({ size, usage: bufferUsage.copyDst | bufferUsage.copySrc });
      const padded = new Uint8Array(size);
      padded.set(pixels);
      device.queue.writeBuffer(buffer, 0, padded);
      inputs[name] = { pixels };
      onGpu[name] = { pixels: buffer, batch };
    }
    const expected = await model.run(inputs);
    const actual = await model.run(onGpu);
    const left = await model.run(onGpu, { outputs: 'gpu' });
    for (const { name } of model.outputs) {
      const { data } = expected.outputs[name];
      checks.that(
        actual.outputs[name].data.every((value, index) => value === data[index]),
        `output ${name} from a GPUBuffer differs`,
      );
      const { buffer, shape } = left.outputs[name];
      const [, height, width, stored] = shape;
      const bytes = await readBack(device, buffer);
      const inspected = (await model.values(inputs)).get(
        program.tensors[program.outputs.find((output) => output.name === name)!.tensor].name,
      )!;
      const { channels, dtype } = left.outputs[name];
      const values = dtype === 'int8' ? new Int8Array(bytes) : new Int32Array(bytes);
      const pixelCount = batch * height * width;
      let equal = values.length === pixelCount * stored;
      for (let pixel = 0; pixel < pixelCount; pixel++) {
        for (let c = 0; c < channels; c++) {
          equal &&= values[pixel * stored + c] === inspected.data[pixel * channels + c];
        }
      }
      checks.that(equal, `output ${name} left on the GPU differs`);
      buffer.destroy();
    }
    for (const { pixels } of Object.values(onGpu)) pixels.destroy();
    model.dispose();
    checks.that(live.buffers === 0, `${live.buffers} buffers are alive after runs with buffers in and out`);
  });
}

async function readBack(device: GPUDevice, buffer: GPUBuffer): Promise<ArrayBuffer> {
  const staging = device.createBuffer({
    size: buffer.size,
    usage: bufferUsage.copyDst | bufferUsage.mapRead,
  });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, 0, staging, 0, buffer.size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(mapModeRead);
  const bytes = staging.getMappedRange().slice(0);
  staging.destroy();
  return bytes;
}

function splitBatch(checks: Checks): Promise<void> {
  return withDevice(async ({ device }) => {
    const largest = Math.max(...program.tensors.map((tensor) => byteCount(tensor, 1)));
    // A device that lets through five images at most, so that 11 of them take parts of 4, 4 and 3.
    const small = new Proxy(device, {
      get(target, name) {
        if (name === 'limits') return lowered(device.limits, 5 * largest);
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
    const session = await createWebgpuSession(program, registry, { device: small });
    for (const inputs of [randomInputs(program, 11, 6), pixelInputs(11, 6)]) {
      const { tensors } = await session.run(inputs, { batch: 11 });
      checks.that(same(tensors, await truth(inputs, 11)), 'a batch that was split is wrong');
    }
    const { plan } = await session.plan(11);
    checks.that(plan.batch === 4, `parts of ${plan.batch} images, 4 were expected`);
    session.dispose();
  });
}

/** iPhones: `subgroups` is there, but `info` does not have the sizes. */
function silentAdapter(checks: Checks): Promise<void> {
  return withDevice(async ({ device }) => {
    const adapterInfo = { vendor: 'apple', architecture: 'metal-3', device: '', description: '' };
    const silent = new Proxy(device, {
      get(target, name) {
        if (name === 'adapterInfo') return adapterInfo;
        if (name === 'features') return new Set([...device.features, 'subgroups']);
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
    using session = await createWebgpuSession(program, registry, { device: silent, batches: [2] });
    const { open } = await session.runtime();
    const { adapterClass, subgroupSize } = open.capabilities;
    checks.that(
      adapterClass === 'apple' && subgroupSize === 0,
      `${adapterClass}, subgroups of ${subgroupSize}`,
    );
    const inputs = randomInputs(program, 2, 9);
    const { tensors } = await session.run(inputs, { batch: 2 });
    checks.that(same(tensors, await truth(inputs, 2)), 'a run on an adapter that tells no subgroup sizes');
  });
}

function manyRuns(checks: Checks): Promise<void> {
  return withDevice(async ({ device }) => {
    const live = countLive(device);
    using session = await createWebgpuSession(program, registry, { device, batches: [1, 2] });
    // Of two batch sizes in turn, so that each run finds what another has left.
    const inputs = [pixelInputs(1, 1), randomInputs(program, 2, 2)];
    const expected = [await truth(inputs[0], 1), await truth(inputs[1], 2)];
    let early = { ...live };
    for (let run = 1; run <= 2000; run++) {
      const i = run % 2;
      const { tensors } = await session.run(inputs[i], { batch: i + 1 });
      if ([1, 2, 20, 499, 500, 2000].includes(run)) {
        checks.that(same(tensors, expected[i]), `run ${run} of 2,000 is wrong`);
      }
      if (run === 20) early = { ...live };
    }
    for (const what of ['buffers', 'bytes', 'querySets'] as const) {
      checks.that(
        live[what] === early[what],
        `${live[what]} ${what} after 2,000 runs, ${early[what]} after 20`,
      );
    }
  });
}

async function tuner(checks: Checks): Promise<void> {
  await withDevice(async ({ device }) => {
    const live = countLive(device);
    const inputs = randomInputs(program, 2, 8);
    const expected = await truth(inputs, 2);
    const timed = async (tune: 'off' | 'quick' | 'full') => {
      const events: ProgressEvent[] = [];
      const onProgress = (event: ProgressEvent) => events.push(event);
      using session = await createWebgpuSession(program, registry, {
        device,
        tune,
        batches: [2],
        onProgress,
      });
      const { tensors } = await session.run(inputs, { batch: 2 });
      checks.that(same(tensors, expected), `a run with tune '${tune}' is wrong`);
      return events.filter(({ stage }) => stage === 'tune').length;
    };
    checks.that((await timed('off')) === 0, 'something was timed though tuning is off');
    checks.that((await timed('quick')) > 0, 'nothing was timed at first');
    checks.that((await timed('quick')) === 0, 'what was remembered was timed again');
    checks.that((await timed('full')) > 0, 'the best of a few is taken for the best of all');
    checks.that((await timed('quick')) === 0, 'the best of all is not good enough for quick');
    checks.that(live.buffers === 0 && live.querySets === 0, 'the tuner leaves something behind');
  });
}

async function profile(checks: Checks): Promise<void> {
  await withDevice(async ({ device }) => {
    const live = countLive(device);
    const model = modelOf(await createWebgpuSession(program, registry, { device }), program);
    const { operations, totalMs, peak, method } = await model.profile({ batch: 2, repetitions: 3 });
    checks.that(operations.length === program.operations.length, 'an operation is missing in the profile');
    for (const { name, ms, macs, bytes, shareOfPeak, family } of operations) {
      checks.that(ms > 0 && bytes > 0, `${name}: ${ms} ms, ${bytes} bytes`);
      const counted = macs > 0 && family !== 'none';
      checks.that(
        counted ? shareOfPeak !== null && shareOfPeak > 0 && shareOfPeak < 1.5 : shareOfPeak === null,
        `${name}: ${macs} MACs at ${shareOfPeak} of the peak`,
      );
    }
    checks.that(totalMs > 0, `the profile takes ${totalMs} ms`);
    checks.that(
      (method === 'timestamp-query') === device.features.has('timestamp-query'),
      `the profile was taken by ${method}`,
    );
    checks.that(
      Object.values(peak).every((value) => value > 0),
      `the peaks are ${JSON.stringify(peak)}`,
    );
    model.dispose();
    checks.that(live.buffers === 0 && live.querySets === 0, 'the profiler leaves something behind');

    const timestamps = device.features.has('timestamp-query');
    const rates = [await measureTraffic({ device, timestamps }), await measureDispatch({ device })];
    checks.that(
      rates.every((rate) => rate > 0 && Number.isFinite(rate)),
      `the traffic is ${rates[0]} GB/s, a dispatch takes ${rates[1]} µs`,
    );
    checks.that(live.buffers === 0 && live.querySets === 0, 'measuring leaves something behind');
  });
}

/** A copy of the device's limits with one of them lowered. */
function lowered(limits: GPUSupportedLimits, maxStorageBufferBindingSize: number): GPUSupportedLimits {
  return new Proxy(limits, {
    get: (target, name) =>
      name === 'maxStorageBufferBindingSize'
        ? maxStorageBufferBindingSize
        : (Reflect.get(target, name, target) as unknown),
  });
}
