import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { roundHalfToEven } from '../../src/program/multiplier.ts';
import { builtinOperators } from '../../src/ops/more-operators.ts';
import { lower } from '../../src/program/lower.ts';
import { calibrate } from '../../src/quantize/calibrate.ts';
import type { MatrixProduct } from '../../src/quantize/matrix-product.ts';
import type { Batch } from '../../src/quantize/onnx-runtime.ts';
import { quantize, quantizeCalibrated } from '../../src/quantize/quantize.ts';
import type { RecipeInput } from '../../src/quantize/recipe.ts';
import { reconstruct } from '../../src/quantize/reconstruct.ts';
import { descend, roundByGptq, type RoundingProblem } from '../../src/quantize/rounding.ts';
import { factorize } from '../../src/quantize/triangular.ts';
import { convNet, createFloatGraph, mobileNet, randomInputs, residualNet } from '../support/onnx-models.ts';
import { runOrt } from '../support/ort.ts';
import { createRandom } from '../support/random.ts';

/** Plain loops in float64. */
const plainProduct: MatrixProduct = {
  multiply: (a, b, m, k, n) =>
    Promise.resolve(
      multiply(
        m,
        k,
        n,
        (i, l) => a[i * k + l],
        (l, j) => b[l * n + j],
      ),
    ),
  multiplyTransposed: (a, b, m, k, n) =>
    Promise.resolve(
      multiply(
        m,
        k,
        n,
        (i, l) => a[i * k + l],
        (l, j) => b[j * k + l],
      ),
    ),
  dispose: () => Promise.resolve(),
};

function multiply(
  m: number,
  k: number,
  n: number,
  a: (row: number, column: number) => number,
  b: (row: number, column: number) => number,
): Float32Array {
  return Float32Array.from({ length: m * n }, (_, i) => {
    let sum = 0;
    for (let l = 0; l < k; l++) sum += a(Math.floor(i / n), l) * b(l, i % n);
    return sum;
  });
}

/** Correlated inputs, as those of a layer are: each feature is a mixture of its own noise and a shared one. */
function problemOf(
  seed: number,
  channels: number,
  features: number,
): RoundingProblem & { weights: Float32Array } {
  const random = createRandom(seed);
  const normal = (): number => 2 * (random.next() + random.next() + random.next()) - 3;
  const samples = 3 * features;
  const x = new Float32Array(features * samples);
  for (let s = 0; s < samples; s++) {
    const shared = normal();
    for (let k = 0; k < features; k++) x[k * samples + s] = (0.3 + (k % 5) / 5) * (normal() + shared);
  }
  const hessian = multiply(
    features,
    samples,
    features,
    (i, s) => x[i * samples + s] / samples,
    (s, j) => x[j * samples + s],
  );
  for (let k = 0; k < features; k++) hessian[k * features + k] += 0.01;
  const weights = Float32Array.from({ length: channels * features }, normal);
  const target = multiply(
    channels,
    features,
    features,
    (c, k) => weights[c * features + k],
    (k, j) => hessian[k * features + j],
  );
  return { channels, features, hessian, target, weights };
}

/** GPTQ as its paper has it: by the Cholesky factor of the inverse, updating all weights that are left. */
function textbookGptq(
  { channels, features: n, hessian, weights }: ReturnType<typeof problemOf>,
  scale: number,
  q: number,
): number[] {
  const order = Array.from({ length: n }, (_, i) => i).sort(
    (a, b) => hessian[b * n + b] - hessian[a * n + a] || b - a,
  );
  // Gauss–Jordan on [H | I].
  const rows = order.map((i) => [
    ...order.map((j) => hessian[i * n + j]),
    ...order.map((j) => (i === j ? 1 : 0)),
  ]);
  rows.forEach((pivot, p) => {
    const inverse = 1 / pivot[p];
    pivot.forEach((value, j) => (pivot[j] = value * inverse));
    rows.forEach((other, i) => {
      const factor = other[p];
      if (i !== p) pivot.forEach((value, j) => (other[j] -= factor * value));
    });
  });
  // U with inv(H) = Uᵀ U: row by row.
  const upper = rows.map(() => new Array<number>(n).fill(0));
  for (let i = 0; i < n; i++) {
    for (let j = i; j < n; j++) {
      let sum = rows[i][n + j];
      for (let k = 0; k < i; k++) sum -= upper[k][i] * upper[k][j];
      upper[i][j] = i === j ? Math.sqrt(sum) : sum / upper[i][i];
    }
  }
  const result = new Array<number>(channels * n);
  for (let c = 0; c < channels; c++) {
    const w = order.map((i) => weights[c * n + i]);
    for (let j = 0; j < n; j++) {
      const integer = Math.min(Math.max(roundHalfToEven(w[j] / scale), -q), q);
      const error = (w[j] - integer * scale) / upper[j][j];
      for (let k = j; k < n; k++) w[k] -= error * upper[j][k];
      result[c * n + order[j]] = integer;
    }
  }
  return result;
}

/** `(ŵ − w) H (ŵ − w)ᵀ`, summed over the channels. */
function outputError(
  { channels, features, hessian, weights }: ReturnType<typeof problemOf>,
  rounded: ArrayLike<number>,
  scales: ArrayLike<number>,
): number {
  let error = 0;
  for (let c = 0; c < channels; c++) {
    const e = Array.from(
      { length: features },
      (_, k) => rounded[c * features + k] * scales[c] - weights[c * features + k],
    );
    for (let i = 0; i < features; i++) {
      for (let j = 0; j < features; j++) error += e[i] * e[j] * hessian[i * features + j];
    }
  }
  return error;
}

describe('rounding by the layer’s output', () => {
  // 150 features are more than one block.
  for (const [channels, features] of [
    [1, 1],
    [4, 9],
    [3, 40],
    [5, 150],
  ]) {
    it(`equals GPTQ as published: ${channels} × ${features}`, async () => {
      const problem = problemOf(features, channels, features);
      const scales = new Float32Array(channels).fill(0.5);
      const grid = { qmin: -3, qmax: 3 };
      const { integers } = await roundByGptq(problem, grid, scales, plainProduct, false);
      expect([...integers]).toEqual(textbookGptq(problem, 0.5, 3));
    });
  }

  it('beats rounding to nearest, descent beats GPTQ, and no single weight can be improved then', async () => {
    const problem = problemOf(7, 6, 60);
    const grid = { qmin: -2, qmax: 1 };
    const scales = new Float32Array(6).fill(1.1);
    const nearest = Array.from(problem.weights, (w) =>
      Math.min(Math.max(roundHalfToEven(w / scales[0]), -2), 1),
    );
    const gptq = await roundByGptq(problem, grid, scales, plainProduct, false);
    const descent = await descend(problem, grid, gptq, plainProduct, false);
    const error = (rounded: ArrayLike<number>, by: ArrayLike<number>) => outputError(problem, rounded, by);
    expect(error(gptq.integers, scales)).toBeLessThan(0.8 * error(nearest, scales));
    const least = error(descent.integers, scales);
    expect(least).toBeLessThan(0.99 * error(gptq.integers, scales));
    for (let i = 0; i < descent.integers.length; i++) {
      for (const step of [-1, 1]) {
        const moved = descent.integers.slice();
        moved[i] += step;
        if (moved[i] >= -2 && moved[i] <= 1) expect(error(moved, scales)).toBeGreaterThan(least * (1 - 1e-6));
      }
    }
    const refitted = await descend(problem, grid, gptq, plainProduct, true);
    expect(error(refitted.integers, refitted.scales)).toBeLessThan(least);
  });

  it('says where a matrix is not positive definite', async () => {
    expect(await factorize(Float32Array.of(1, 2, 2, 1), 2, plainProduct)).toBe(false);
  });
});

function imagesOf(graph: Graph, count: number, seed = 5): Batch[] {
  const [data] = randomInputs(graph, count, seed).values();
  return [{ data, shape: [count, ...(graph.inputs[0].shape.slice(1) as number[])] }];
}

async function outputs(graph: Graph, images: Batch): Promise<Float32Array> {
  const [result] = (await runOrt(graph, new Map([['input', images.data]]), images.shape[0])).values();
  return result.data as Float32Array;
}

/** Squared error of a model's outputs on images that it was not calibrated on. */
async function lossOf(float: Graph, graph: Graph): Promise<number> {
  const [fresh] = imagesOf(float, 48, 77);
  const [expected, actual] = [await outputs(float, fresh), await outputs(graph, fresh)];
  return expected.reduce((sum, x, i) => sum + (x - actual[i]) ** 2, 0);
}

/** Convolutions in two groups, strided and padded unevenly. */
function groupedNet(seed: number): Graph {
  const b = createFloatGraph(seed);
  const x = b.relu(
    b.conv(b.input('input', ['N', 4, 9, 9]), 8, { kernel: 3, group: 2, stride: 2, pads: [1, 0, 0, 1] }),
  );
  return b.finish(
    b.gemm(b.globalPool(b.relu(b.conv(x, 8, { kernel: 3, dilation: 2, pads: 2, group: 2 }))), 6),
  );
}

describe('reconstruct', () => {
  for (const [name, make] of Object.entries({ convNet, residualNet, mobileNet, groupedNet })) {
    it(`loses less than rounding to nearest at 3 bits, and is the default there: ${name}`, async () => {
      const float = make(51);
      const images = imagesOf(float, 32);
      const of = async (recipe: RecipeInput) => (await quantize(float, images, { recipe })).graph;
      const auto = await of({ weights: { bits: 3 } });
      const nearest = await lossOf(float, await of({ weights: { bits: 3, rounding: 'nearest' } }));
      expect(await lossOf(float, auto)).toBeLessThan(0.7 * nearest);
      expect(lower(auto, builtinOperators).operations.length).toBeGreaterThan(3);
    });
  }

  it('gives the same integers in every run, by GPTQ alone others', async () => {
    const float = groupedNet(51);
    const weightsOf = async (rounding: 'auto' | 'gptq') => {
      const { graph } = await quantize(float, imagesOf(float, 16), {
        recipe: { weights: { bits: 3, rounding } },
      });
      return [...graph.constants.values()].flatMap(({ dtype, data }) => (dtype === 'int4' ? [data] : []));
    };
    const first = await weightsOf('auto');
    expect(await weightsOf('auto')).toEqual(first);
    expect(await weightsOf('gptq')).not.toEqual(first);
  });

  it('chooses ranges of few bits by the output of the layer that reads them, through pools too', async () => {
    const float = convNet(55);
    const images = imagesOf(float, 32);
    const recipe: RecipeInput = { weights: { bits: 8, rounding: 'gptq' }, activations: { bits: 3 } };
    const calibration = await calibrate(float, images);
    const reconstruction = await reconstruct(calibration, images, { recipe });
    const { graph, report } = quantizeCalibrated(calibration, recipe, reconstruction);
    const nearest: RecipeInput = { activations: { bits: 3 } };
    const plain = quantizeCalibrated(calibration, nearest);
    expect(await lossOf(float, graph)).toBeLessThan(await lossOf(float, plain.graph));
    const scales = ({ layers }: typeof report) => layers.map(({ activation }) => activation?.scale);
    const changed = scales(report).filter((scale, i) => scale !== scales(plain.report)[i]);
    expect(changed.length).toBeGreaterThan(1);
    // A pool keeps the scale of what it selects from.
    const pool = report.layers.findIndex(({ op }) => op === 'MaxPool');
    expect(pool).toBeGreaterThan(0);
    expect(scales(report)[pool]).toBe(scales(report)[pool - 1]);
  });

  it('rounds single layers as their overrides say, others to nearest behind them, and stays within their bits', async () => {
    const float = convNet(52);
    const recipe: RecipeInput = {
      weights: { perChannel: false },
      layers: [{ match: 'conv_4', weights: { bits: 2, perChannel: true } }],
    };
    const { graph, report } = await quantize(float, imagesOf(float, 32), { recipe });
    const weights = graph.constants.get('conv_4_weight_quantized')!.data as Int8Array;
    expect([...new Set(weights)].sort((a, b) => a - b)).toEqual([-2, -1, 0, 1]);
    expect(report.layers.map((layer) => layer.weights?.bits)).toContain(2);
    expect(Math.max(...(graph.constants.get('gemm_10_weight_quantized')!.data as Int8Array))).toBeGreaterThan(
      100,
    );
  });

  it('names each layer as it goes, and stops when aborted', async () => {
    const float = convNet(53);
    const calibration = await calibrate(float, imagesOf(float, 8));
    const controller = new AbortController();
    const items: (string | undefined)[] = [];
    const options = {
      recipe: { weights: { bits: 4 } },
      signal: controller.signal,
      onProgress: (event: { stage: string; item?: string; done?: number }) => {
        items.push(event.item);
        if (event.done === 2) controller.abort(new Error('enough'));
      },
    };
    await expect(reconstruct(calibration, imagesOf(float, 8), options)).rejects.toThrow('enough');
    expect(items).toEqual([...calibration.layers.weighted.keys()].slice(0, 3));
  });

  it('is refused where images or its recipe are missing', async () => {
    const float = convNet(54);
    const calibration = await calibrate(float, imagesOf(float, 8));
    await expect(reconstruct(calibration, [])).rejects.toThrow(InputError);
    expect(() => quantizeCalibrated(calibration, { weights: { rounding: 'gptq' } })).toThrow(
      /takes pictures/,
    );
    const reconstruction = await reconstruct(calibration, imagesOf(float, 8), {
      recipe: { weights: { bits: 4 } },
    });
    expect(() => quantizeCalibrated(calibration, { weights: { bits: 3 } }, reconstruction)).toThrow(
      /another recipe/,
    );
  });
});
