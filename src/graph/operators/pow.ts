import { pow as of } from '../../numerics/elementary.ts';
import { binaryOperator } from './elementwise.ts';
import { broadcastTo, isBig } from './dense.ts';

export const pow = binaryOperator({
  op: 'Pow',
  note: '`lookup`; of two tensors, `binary`',
  binary: of,
  /** Of the first input's type: integers by the float64 power, cut off to a whole number. */
  evaluate({ inputs: [base, exponent], dtype, shape }) {
    if (!base || !exponent) return undefined;
    const [bases, exponents] = [broadcastTo(base, shape), broadcastTo(exponent, shape)];
    const data = bases.slice();
    const isFloat = data instanceof Float32Array || data instanceof Float64Array;
    for (let i = 0; i < data.length; i++) {
      const power = of(Number(bases[i]), Number(exponents[i]));
      if (!isFloat && !Number.isSafeInteger(Math.trunc(power))) return undefined;
      data[i] = isBig(data) ? BigInt(Math.trunc(power)) : power;
    }
    return { dtype, shape, data };
  },
});
