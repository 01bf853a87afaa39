/** A process that runs one model for a server: started by `ModelProcess`, ends with it. */
import { createHash } from 'node:crypto';
import { platform } from '#platform';
import type { Graph } from '../graph/graph.ts';
import { loadModel } from '../model/load.ts';
import type { LoadOptions, Model, RunInput } from '../model/model.ts';
import { openModel } from '../onnx/decode.ts';
import type { ProcessModel } from './messages.ts';
import { serveParent } from './process-child.ts';
import { runUnits } from './units.ts';

serveParent(async ({ source, load, batches, maxPixels }) => {
  const { hash, model } = await open(source, { ...load, batches: [...batches] });
  await warmUp(model, batches);
  return {
    model: describe(model, hash),
    run: (units, signal) => runUnits(model, units, { signal, ...(maxPixels !== undefined && { maxPixels }) }),
  };
});

async function open(
  source: string | Graph,
  options: LoadOptions,
): Promise<{ readonly hash: string; readonly model: Model }> {
  if (typeof source !== 'string') return { hash: '', model: await loadModel(source, options) };
  // Read once: what is hashed is what runs.
  const bytes = await platform.readFile(source);
  const hash = createHash('sha256').update(bytes);
  const externalData = new Map<string, Uint8Array>();
  for (const location of openModel(bytes).externalData) {
    const data = await platform.readNeighbour(source, location);
    hash.update(data);
    externalData.set(location, data);
  }
  return { hash: hash.digest('hex'), model: await loadModel(bytes, { ...options, externalData }) };
}

/** Every batch size once: plans, packed weights, pipelines, and the engine's compiled code. */
async function warmUp(model: Model, batches: readonly number[]): Promise<void> {
  // Sizes that requests choose are planned for the first of them.
  if (model.program === null) return;
  for (const batch of batches) {
    const zeros = model.inputs.map(({ name, height, width, channels, scale }): [string, RunInput] => {
      const length = batch * height! * width! * channels!;
      return [name, scale === null ? new Float32Array(length) : new Int8Array(length)];
    });
    await model.run(Object.fromEntries(zeros), { integers: true });
  }
}

function describe(model: Model, hash: string): ProcessModel {
  const { backend, backendReason, threads, adapter, outputs, labels } = model;
  return {
    hash,
    inputs: model.inputs,
    outputs,
    labels,
    noPixels: noPixels(model),
    noPictures: noPictures(model),
    backend,
    backendReason,
    threads,
    adapter: adapter && [adapter.vendor, adapter.device, adapter.description].filter(Boolean).join(' '),
  };
}

function noPictures({ program, inputs: [{ shape }] }: Model): string | null {
  if (program) return null;
  return `its input [${shape.join(', ')}] has no size to resize them to (start the server with --input-shape)`;
}

function noPixels({ inputs, preprocessing }: Model): string | null {
  if (inputs.length > 1) return `it takes ${inputs.length} inputs`;
  const [{ channels }] = inputs;
  if (channels !== 1 && channels !== 3) return `its input has ${channels} channels, and pictures have 1 or 3`;
  if (!preprocessing)
    return 'its file does not say how pixels are normalized (quantize it with --mean and --std)';
  return null;
}
