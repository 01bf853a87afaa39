import { loadModel } from '../../src/index.ts';
import type { Model, PlannedOperation, ProfiledOperation } from '../../src/index.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { measurePeak } from '../../src/wasm/peak.ts';
import type { ComputeLimit, LoadContender } from './contender.ts';

export const load: LoadContender = async ({ device, threads }, files) => {
  const start = performance.now();
  const graph = decodeModel(files.model);
  const parseMs = performance.now() - start;
  if (device === 'native') throw new Error('Octet has no native backend');
  const model = await loadModel(graph, { backend: device, threads, tune: 'off' });
  const inputName = model.inputs[0].name;
  const outputName = model.outputs[0].name;
  return {
    parseMs,
    detail: model.backendReason,
    async run({ pixels }) {
      const { outputs } = await model.run({ [inputName]: { pixels } });
      return Float32Array.from(outputs[outputName].data);
    },
    // The reference's loops are written to be read; no instruction's peak says anything of them.
    ...(device !== 'reference' && { limit: (batches) => measureLimit(model, batches, threads) }),
    dispose: () => model.dispose(),
  };
};

/** Timings of each layer at batch 1. */
const REPETITIONS = 5;

async function measureLimit(
  model: Model,
  batches: readonly number[],
  threads: number,
): Promise<ComputeLimit> {
  const profile = await model.profile({ repetitions: REPETITIONS });
  const peaks: Readonly<Record<string, number>> =
    model.backend === 'wasm' ? await wasmPeaks(threads) : profile.peak;
  const instruction = model.backend === 'wasm' ? wasmInstruction : gpuFamily;
  const idealMs: number[] = [];
  for (const batch of batches) {
    const { operations } = await model.plan(batch);
    idealMs.push(
      operations
        .filter(({ macs }) => macs > 0)
        .reduce((ms, operation) => ms + operation.macs / peaks[instruction(operation)] / 1e6, 0),
    );
  }
  // With threads, a layer timed alone is mostly the hand-over to them and back.
  const timedAlone = model.backend === 'wasm' && threads > 1 ? [] : profile.operations;
  const layers = timedAlone
    .filter(({ macs }) => macs > 0)
    .map((operation: ProfiledOperation) => ({
      name: operation.name,
      variant: operation.variant ?? 'reference',
      instruction: instruction(operation),
      ms: operation.ms,
      gmacs: operation.gmacsPerSecond,
      share: operation.gmacsPerSecond / peaks[instruction(operation)],
    }));
  return { peaks, idealMs, layers };
}

const DOT = 'i32x4.dot_i16x8_s';
const RELAXED_DOT = 'i32x4.relaxed_dot_i8x16_i7x16_add_s';

async function wasmPeaks(threads: number): Promise<Record<string, number>> {
  const { dot, relaxedDot } = await measurePeak();
  return { [DOT]: dot * threads, ...(relaxedDot !== null && { [RELAXED_DOT]: relaxedDot * threads }) };
}

const wasmInstruction = ({ variant }: PlannedOperation): string =>
  variant?.endsWith('relaxed') ? RELAXED_DOT : DOT;

const gpuFamily = ({ family }: PlannedOperation): string => family ?? 'none';
