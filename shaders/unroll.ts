/**
 * Repeats WGSL text for 0…count−1: how templates write what depends on a tile size. Accumulators are named scalars or vectors
 * (`acc0_1`), since dynamically indexed arrays fall out of registers.
 */
export function unroll(count: number, line: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => line(index)).join('\n');
}
