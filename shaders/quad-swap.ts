/**
 * How the lanes of a quad share what each of them has loaded: with the other three values beside its own, copy s of a value is that of lane ^ s.
 * The copies are named after the value.
 */
export const SWAPS = ['', 'x', 'y', 'd'] as const;

const CALLS = { x: 'quadSwapX', y: 'quadSwapY', d: 'quadSwapDiagonal' } as const;

/** Statements that make the swapped copies of a value, `count` of them with the value itself. */
export function swapped(name: string, count: number = SWAPS.length): string {
  return SWAPS.slice(0, count)
    .filter((swap) => swap !== '')
    .map((swap) => `      let ${name}${swap} = ${CALLS[swap]}(${name});`)
    .join('\n');
}
