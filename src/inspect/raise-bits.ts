/**
 * More exact layers, the worst first, until a model loses no more than it may: few bits become 8, results 16, and weights float, in that
 * order, since each costs more than the one before it.
 */
import * as v from 'valibot';
import { asyncOptions, check, finite, fn, text } from '../arguments.ts';
import { DeviceError, InputError, ModelError } from '../errors.ts';
import type { Graph } from '../graph/graph.ts';
import { imageBatches } from '../model/image-batches.ts';
import type { InputShape } from '../model/model.ts';
import { graphSchema } from '../onnx/graph-schema.ts';
import type { AsyncOptions } from '../progress.ts';
import { calibrate, calibrationSchema, type Calibration } from '../quantize/calibrate.ts';
import { type Batch, onnxRuntimeOptions, type OnnxRuntimeOptions } from '../quantize/onnx-runtime.ts';
import { quantize } from '../quantize/quantize.ts';
import { parseRecipe, type Recipe, type RecipeInput } from '../quantize/recipe.ts';
import { qualitySchema, type ModelQuality } from '../quantize/search.ts';
import type { Picture } from '../vision/picture.ts';
import { rankLayers, type RankedLayer } from './advice.ts';
import { inspectModel } from './inspect.ts';
import { analyzeSensitivity } from './sensitivity.ts';
import { deviceProfileSchema, type DeviceProfile } from './target.ts';

export interface RaiseBitsOptions extends AsyncOptions, OnnxRuntimeOptions {
  /** What an earlier calibration of the same graph and pictures gave. */
  readonly calibration?: Calibration;
  /** What is started from. */
  readonly recipe?: RecipeInput;
  /** The first model whose drop is at most this ends it. */
  readonly maxDrop: number;
  /** Measures a quantized graph against the float one. */
  readonly evaluate: (graph: Graph) => Promise<ModelQuality>;
  /** What expected times are of: a device profile, or the name of a built-in one. Default `webgpu`. */
  readonly target?: DeviceProfile | string;
  readonly inputShape?: InputShape;
}

/** One more layer made more exact, and the whole model after it. */
export interface RaiseStep extends ModelQuality {
  /** Entry of the recipe's `layers` that was tried; null for the start. */
  readonly change: Recipe['layers'][number] | null;
  /** The layer's part, 0 to 1, of the noise that all layers bring alone, before the step; 0 for the start. */
  readonly share: number;
  /** Whether it stays: 8 bits in place of fewer do, since errors of few bits may cancel by chance; more only where the loss is smaller. */
  readonly kept: boolean;
  /** Why there is no such model, all other members being those of the model before; null where it was measured. */
  readonly refused: string | null;
  /** Bytes of the model's constants. */
  readonly bytes: number;
  /** Expected time of a run on the target, in milliseconds, and stages on the host that the device waits for. */
  readonly expectedMs: number;
  readonly hostStages: number;
}

export interface RaiseResult {
  /** In the order of trial, the start first. */
  readonly steps: readonly RaiseStep[];
  /** With all that was kept. */
  readonly recipe: Recipe;
  /** Whether its drop is at most `maxDrop`. */
  readonly met: boolean;
}

const raiseOptions = v.object(
  {
    evaluate: fn,
    maxDrop: finite,
    signal: v.optional(asyncOptions.signal),
    onProgress: v.optional(asyncOptions.onProgress),
    onnxRuntime: v.optional(onnxRuntimeOptions.onnxRuntime),
    calibration: v.optional(calibrationSchema),
    target: v.optional(v.union([text, deviceProfileSchema], 'a DeviceProfile or the name of one')),
  },
  'an object with maxDrop and evaluate',
);

/** Pictures that sensitivity is measured on, evenly taken from all: each layer runs on them twice. */
const SENSITIVITY_PICTURES = 32;
/** Part of the noise of one kind of change that is gone through; a kind that is behind less than the rest of all noise is left out. */
const COVERED = 0.95;

/** Kinds of change, the cheapest first. */
const RUNGS: readonly ((change: Change) => boolean)[] = [
  isCheap,
  ({ activations }) => activations?.bits === 16,
  ({ float }) => float === true,
];

type Change = NonNullable<RankedLayer['change']>;

function isCheap({ weights, activations }: Change): boolean {
  return weights?.bits === 8 || activations?.bits === 8;
}

/**
 * Makes the layers that lose most more exact, one after the other, until the model's drop is small enough. Sensitivity is measured again
 * before each more costly kind of change.
 *
 * @param pictures what the model is calibrated on
 * @throws {InputError} where an option is wrong, or there is no picture
 * @throws {ModelError} where weights or activations are NaN or infinite
 */
export async function raiseBits(
  graph: Graph,
  pictures: readonly Picture[],
  options: RaiseBitsOptions,
): Promise<RaiseResult> {
  check(
    'raiseBits',
    { graph: graphSchema, pictures: v.array(v.any(), 'an array of pictures'), options: raiseOptions },
    { graph, pictures, options },
  );
  const { maxDrop, evaluate, signal, onProgress, onnxRuntime, inputShape, target = 'webgpu' } = options;
  if (pictures.length === 0) throw new InputError('raiseBits: there is no picture: give at least one');
  const shared = { ...(onnxRuntime && { onnxRuntime }), ...(signal && { signal }) };
  const sizes = inputShape ? { inputShape } : {};
  let recipe = parseRecipe(options.recipe);
  const batches: Batch[] = [];
  for await (const batch of imageBatches(graph, pictures, sizes)) batches.push(batch);
  const calibration = options.calibration ?? (await calibrate(graph, batches, { ...shared, recipe }));
  const stride = Math.max(1, pictures.length / SENSITIVITY_PICTURES);
  const sample = pictures.filter((_, i) => Math.floor(i / stride) !== Math.floor((i - 1) / stride));

  const steps: RaiseStep[] = [];
  let current: { readonly graph: Graph; readonly quality: ModelQuality } | undefined;
  /** Measures a recipe, and keeps it where it is better than what there is. */
  const attempt = async (tried: Recipe, change: RaiseStep['change'], share: number) => {
    signal?.throwIfAborted();
    const { graph: quantized, report } = await quantize(graph, batches, {
      ...{ ...shared, recipe: tried, calibration },
    });
    const quality = await evaluate(quantized);
    check('evaluate', { result: qualitySchema }, { result: quality });
    const { totals } = inspectModel(quantized, { target });
    const kept = !current || (change !== null && isCheap(change)) || quality.loss < current.quality.loss;
    const { loss, drop } = quality;
    const { expectedMs, hostStages } = totals;
    const bytes = report.quantizedBytes;
    steps.push({ change, share, kept, refused: null, loss, drop, bytes, expectedMs, hostStages });
    if (kept) {
      current = { graph: quantized, quality };
      recipe = tried;
    }
  };
  const isMet = () => current!.quality.drop <= maxDrop;
  /** Tries all changes of a kind, the worst layer first. Returns whether one was kept. */
  const improve = async (takes: (change: Change) => boolean): Promise<boolean> => {
    const start = current!.graph;
    const sensitivity = await analyzeSensitivity(graph, start, sample, { ...shared, ...sizes });
    const ranked = rankLayers({ ...inspectModel(start, { target }), sensitivity }).filter(
      ({ change, share }) => change && share > 0 && takes(change),
    );
    const noise = ranked.reduce((sum, { share }) => sum + share, 0);
    if (noise < 1 - COVERED) return false;
    let covered = 0;
    for (const [done, { name, change, share }] of ranked.entries()) {
      if (isMet() || covered >= COVERED * noise) break;
      covered += share;
      onProgress?.({ stage: 'quantize', done, total: ranked.length, item: name });
      const raised = parseRecipe({ ...recipe, layers: [...recipe.layers, change!] });
      const entry = raised.layers[raised.layers.length - 1];
      try {
        await attempt(raised, entry, share);
      } catch (error) {
        if (!(error instanceof InputError || error instanceof ModelError || error instanceof DeviceError)) {
          throw error;
        }
        // Such as one that would need a newer opset than the recipe's.
        const before = steps.findLast(({ kept }) => kept)!;
        steps.push({ ...before, change: entry, share, kept: false, refused: error.message });
      }
    }
    return current!.graph !== start;
  };

  onProgress?.({ stage: 'quantize', done: 0, total: 1, item: 'as the recipe says' });
  await attempt(recipe, null, 0);
  for (const takes of RUNGS) {
    // What did not help while another layer was worse may help after that one is mended.
    while (!isMet() && (await improve(takes))) continue;
  }
  onProgress?.({ stage: 'quantize', done: 1, total: 1 });
  return { steps, recipe, met: isMet() };
}
