/**
 * IEEE 754 binary16 and bfloat16 to and from float32. Widening is exact; narrowing rounds to nearest, ties to even.
 */

const scratch = new DataView(new ArrayBuffer(4));

let float16Table: Float32Array | undefined;

/** Widens float16 bit patterns; exact. */
export function widenFloat16(bits: Uint16Array): Float32Array {
  float16Table ??= Float32Array.from({ length: 65536 }, (_, pattern) => float16Value(pattern));
  const table = float16Table;
  const out = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) out[i] = table[bits[i]]!;
  return out;
}

function float16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** Widens bfloat16 bit patterns (the upper halves of float32s); exact. */
export function widenBfloat16(bits: Uint16Array): Float32Array {
  const out = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) out[i] = bits[i] << 16;
  return new Float32Array(out.buffer);
}

/** Nearest float16 bit patterns. */
export function narrowFloat16(values: Float32Array): Uint16Array {
  return Uint16Array.from(values, float16Bits);
}

function float16Bits(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  // 65520 is the tie between the largest float16, 65504, and 2^16; it rounds to even, away.
  if (magnitude >= 65520) return sign | 0x7c00;
  if (magnitude < 2 ** -14) return sign | roundToEven(magnitude * 2 ** 24);
  scratch.setFloat32(0, magnitude);
  const e = (scratch.getUint32(0) >>> 23) - 127;
  return sign | (((e + 15) << 10) + roundToEven((magnitude * 2 ** -e - 1) * 1024));
}

/** Nearest integer, ties to even; infinities and NaN stay. */
export function roundToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}

/** Nearest bfloat16 bit patterns. */
export function narrowBfloat16(values: Float32Array): Uint16Array {
  return Uint16Array.from(values, (value) => {
    scratch.setFloat32(0, value);
    const bits = scratch.getUint32(0);
    if (Number.isNaN(value)) return (bits >>> 16) | 0x40;
    return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
  });
}
