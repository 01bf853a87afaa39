/** Arithmetic of shapes, of which some dimensions may be symbolic. */
import { resolveAxis } from './attributes.ts';
import type { Dimension } from './graph.ts';

type Shape = readonly Dimension[];

/** Product of the dimensions that are numbers. */
export function numericProduct(shape: Shape): number {
  return shape.reduce<number>((product, dim) => (typeof dim === 'number' ? product * dim : product), 1);
}

/** Product of dimensions; `symbol` where it is neither a number nor one of them. */
export function product(dims: Shape, symbol: string): Dimension {
  const number = numericProduct(dims);
  const symbols = dims.filter((dim) => typeof dim === 'string');
  if (symbols.length === 0 || number === 0) return number;
  return symbols.length === 1 && number === 1 ? symbols[0] : symbol;
}

export function sameOrUnknown(a: Dimension, b: Dimension): boolean {
  return a === b || typeof a === 'string' || typeof b === 'string';
}

/** Multidirectional broadcasting (https://onnx.ai/onnx/repo-docs/Broadcasting.html); undefined where the shapes do not fit. */
export function broadcastShapes(a: Shape, b: Shape): Shape | undefined {
  const rank = Math.max(a.length, b.length);
  const shape: Dimension[] = [];
  for (let axis = 0; axis < rank; axis++) {
    const da = a[axis - rank + a.length] ?? 1;
    const db = b[axis - rank + b.length] ?? 1;
    if (da === db || db === 1) shape.push(da);
    else if (da === 1 || typeof da === 'string') shape.push(db);
    else if (typeof db === 'string') shape.push(da);
    else return undefined;
  }
  return shape;
}

/** A list of axes counted from the front, or what is wrong with it. */
export function resolveAxes(axes: readonly number[], rank: number): ReadonlySet<number> | string {
  const resolved = new Set<number>();
  for (const axis of axes) {
    const position = resolveAxis(axis, rank);
    if (position === undefined || resolved.has(position))
      return `axes [${axes}] do not fit a tensor of rank ${rank}`;
    resolved.add(position);
  }
  return resolved;
}
