/**
 * Finds out what `i32x4.relaxed_dot_i8x16_i7x16_add_s` does in the engine at hand.
 *
 * The specification leaves two things to the engine where the second operand is not within 0…127: whether its bytes are signed or unsigned, and
 * whether sums of two products saturate at int16. It fixes them for the life of the engine, so a few
 * vectors tell the cases apart.
 */
import type { RelaxedDot } from '../ops/wasm-kernel.ts';

/** `probe(address)`: 16 bytes each of both operands at `address`, then four int32 sums, updated. */
export type RelaxedProbe = (address: number) => void;

/** Pairs of bytes whose products reach the ends of int16, with and without the second's top bit. */
const FIRST = [-128, -127, -1, 0, 1, 64, 126, 127];
const SECOND: Readonly<Record<Exclude<RelaxedDot, 'none'>, readonly number[]>> = {
  i7: [0, 1, 63, 64, 126, 127],
  u8: [0, 1, 127, 128, 129, 200, 254, 255],
  i8: [-128, -127, -64, -1, 0, 1, 126, 127],
};

/** @param memory 64 bytes at `address` are overwritten */
export function classifyRelaxedDot(
  probe: RelaxedProbe,
  memory: WebAssembly.Memory,
  address: number,
): RelaxedDot {
  const exact = (name: Exclude<RelaxedDot, 'none'>) => isExact(probe, memory, address, SECOND[name]);
  if (!exact('i7')) return 'none';
  if (exact('i8')) return 'i8';
  return exact('u8') ? 'u8' : 'i7';
}

function isExact(
  probe: RelaxedProbe,
  { buffer }: WebAssembly.Memory,
  address: number,
  values: readonly number[],
): boolean {
  const first = new Int8Array(buffer, address, 16);
  const second = new Int8Array(buffer, address + 16, 16);
  const sums = new Int32Array(buffer, address + 32, 4);
  for (let round = 0; round < FIRST.length * values.length; round++) {
    const a = Array.from({ length: 16 }, (_, i) => FIRST[(round + i * (i < 8 ? 0 : 3)) % FIRST.length]);
    const b = Array.from(
      { length: 16 },
      (_, i) => values[(Math.floor(round / FIRST.length) + i * (i < 4 ? 0 : 5)) % values.length],
    );
    first.set(a);
    second.set(b);
    const start = round * 1000003;
    sums.fill(start);
    probe(address);
    for (let lane = 0; lane < 4; lane++) {
      let expected = start;
      for (let i = lane * 4; i < lane * 4 + 4; i++) expected += a[i] * b[i];
      if (sums[lane] !== (expected | 0)) return false;
    }
  }
  return true;
}
