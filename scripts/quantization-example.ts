/**
 * The worked example of docs/quantization.md: one dense layer with ReLU, then an addition, in real numbers and in integers.
 *
 *     npx tsx --conditions=octet:source scripts/quantization-example.ts
 *
 * The page quotes what this prints; test/quantize/documentation.test.ts compares the two.
 */
import { pathToFileURL } from 'node:url';
import {
  commonRescale,
  requantize,
  requantizeMultiplier,
  rescaleSum,
  toMultiplier,
} from '../src/program/multiplier.ts';
import { chooseParameters, quantizeValue } from '../src/quantize/scheme.ts';
import { quantizeLayer } from '../src/quantize/weights.ts';

/** The lines of each step by its name. */
export function quantizationExample(): Record<string, string[]> {
  const x = [0.5, -1, 0.25];
  const weights = [
    [0.6, -0.3, 0.9],
    [-0.02, 0.05, 0.01],
  ];
  const bias = [0.1, 0.25];
  const real = weights.map((row, c) =>
    Math.max(
      0,
      row.reduce((sum, w, i) => sum + w * x[i], bias[c]),
    ),
  );

  const input = chooseParameters({ min: -1, max: 1.5 }, 8, 'affine');
  const output = chooseParameters({ min: 0, max: 1.2 }, 8, 'affine');
  const xq = x.map((value) => quantizeValue(value, input));

  const layer = quantizeLayer(
    {
      node: { name: 'dense', op: 'Gemm', inputs: [], outputs: [], attributes: {} },
      input: 'x',
      weights: { name: 'w', dtype: 'float32', shape: [2, 3], data: Float32Array.from(weights.flat()) },
      bias: Float32Array.from(bias),
      names: [],
    },
    input.scale,
    { bits: 8, perChannel: true, rounding: 'nearest' },
  );
  const rows = [0, 1].map((c) => [...layer.weights.subarray(3 * c, 3 * c + 3)]);
  const folded = rows.map((row, c) => layer.bias[c] - input.zeroPoint * row.reduce((sum, w) => sum + w, 0));
  const acc = rows.map((row, c) => row.reduce((sum, w, i) => sum + w * xq[i], folded[c]));

  const multipliers = [...layer.scales].map((scale) =>
    toMultiplier(requantizeMultiplier(input.scale, scale, output.scale)),
  );
  const y = acc.map((value, c) => {
    const { mantissa, shift } = multipliers[c];
    return requantize(value, mantissa, shift, output.zeroPoint, output.zeroPoint, 127);
  });

  const other = { scale: Math.fround(0.02), zeroPoint: 10, q: 35 };
  const sumParameters = chooseParameters({ min: -1, max: 2.5 }, 8, 'affine');
  const { multipliers: factors, shift } = commonRescale(
    [output.scale / sumParameters.scale, other.scale / sumParameters.scale],
    [1, 1],
  );
  const sum = factors[0] * (y[0] - output.zeroPoint) + factors[1] * (other.q - other.zeroPoint);
  const sumQ = rescaleSum(sum, {
    multipliers: factors,
    inputZeroPoints: Int32Array.of(output.zeroPoint, other.zeroPoint),
    shift,
    zeroPoint: sumParameters.zeroPoint,
    lo: -128,
    hi: 127,
  });
  const sumReal = (y[0] - output.zeroPoint) * output.scale + (other.q - other.zeroPoint) * other.scale;

  return {
    real: [`y = ${list(real.map(short))}`],
    activations: [
      `s_x = ${short(input.scale)}   z_x = ${input.zeroPoint}   x_q = ${list(xq)}`,
      `s_y = ${short(output.scale)}   z_y = ${output.zeroPoint}`,
    ],
    weights: [
      `s_w = ${list([...layer.scales].map(short))}`,
      ...rows.map((row, c) => `w_q[${c}] = ${list(row)}`),
      `b_q = ${list([...layer.bias])}`,
    ],
    accumulators: [`b_q − z_x·Σw_q = ${list(folded)}`, `acc = ${list(acc)}`],
    requantize: [
      ...multipliers.map(
        ({ mantissa, shift: n }, c) => `m[${c}] = ${mantissa} · 2^−${n} = ${short(mantissa * 2 ** -n)}`,
      ),
      ...acc.map((value, c) => {
        const { mantissa, shift: n } = multipliers[c];
        return `acc[${c}] · m[${c}] = ${BigInt(value) * BigInt(mantissa)} · 2^−${n} = ${short(value * mantissa * 2 ** -n)}`;
      }),
      `y_q = ${list(y)}   s_y · (y_q − z_y) = ${list(y.map((q) => short((q - output.zeroPoint) * output.scale)))}`,
    ],
    addition: [
      `s_t = ${short(sumParameters.scale)}   z_t = ${sumParameters.zeroPoint}   multipliers ${list([...factors])} · 2^−${shift}`,
      `sum = ${sum} · 2^−${shift} = ${short(sum * 2 ** -shift)}`,
      `t_q = ${sumQ}   s_t · (t_q − z_t) = ${short((sumQ - sumParameters.zeroPoint) * sumParameters.scale)}   exactly ${short(sumReal)}`,
    ],
  };
}

function short(value: number): string {
  return String(Number(value.toPrecision(6)));
}

function list(values: readonly (number | string)[]): string {
  return `(${values.join(', ')})`;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const [step, lines] of Object.entries(quantizationExample())) {
    console.log(`${step}\n${lines.map((line) => `  ${line}`).join('\n')}`);
  }
}
