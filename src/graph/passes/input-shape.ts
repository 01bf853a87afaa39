/** Sizes for the dimensions that a file leaves open. */
import * as v from 'valibot';
import { count, text } from '../../arguments.ts';
import { InputError } from '../../errors.ts';
import type { Dimension, Graph, ValueInfo } from '../graph.ts';

/**
 * Sizes of what the inputs of a file leave open, by the name of a symbolic dimension (`{ height: 224, width: 320 }`), or by the name of an
 * input all its sizes (`{ image: [1, 3, 224, 320] }`). The first dimension, the batch, stays open whatever is given for it.
 */
export type InputShape = Readonly<Record<string, number | readonly number[]>>;

/** An `InputShape` that a caller made. */
export const inputShapeSchema = v.record(
  text,
  v.union([count, v.array(count)], 'a size or a list of sizes, positive integers'),
  'an object of sizes, by the name of a dimension or of an input',
);

type Inputs = Pick<Graph, 'inputs'>;

/**
 * The graph with the sizes of its inputs; what is computed from them is left to shape inference.
 * @param given what gives the sizes, for messages: the option, or tensors of a run
 * @throws {InputError} every entry that names no dimension and no input, or does not fit the input
 */
export function withInputShape<G extends Inputs>(
  graph: G,
  inputShape: InputShape,
  given: 'inputShape' | 'tensors' = 'inputShape',
): G {
  const wrong: string[] = [];
  const sizes = new Map<string, number>();
  const settle = (name: string, size: number): void => {
    const known = sizes.get(name);
    if (known === undefined) sizes.set(name, size);
    else if (known !== size) {
      const giver = given === 'tensors' ? 'the inputs give' : 'inputShape gives';
      wrong.push(`${giver} the dimension "${name}" both ${known} and ${size}`);
    }
  };
  const symbols = new Set(graph.inputs.flatMap(({ shape }) => shape.filter(isSymbol)));
  const batches = batchNames(graph.inputs);
  for (const [name, value] of Object.entries(inputShape)) {
    if (typeof value === 'number') {
      if (!symbols.has(name)) wrong.push(`inputShape names "${name}", but ${described(graph)}`);
      else if (!batches.has(name)) settle(name, value);
      continue;
    }
    const input = graph.inputs.find((each) => each.name === name);
    if (!input) wrong.push(`inputShape has a list for "${name}", but ${described(graph)}`);
    else if (!fits(input, value)) {
      const giver = given === 'tensors' ? `input "${name}" is given as` : `inputShape gives "${name}"`;
      wrong.push(`${giver} [${value.join(', ')}], but ${described(graph)}`);
    } else {
      for (const [axis, dimension] of input.shape.entries()) {
        if (isSymbol(dimension) && !batches.has(dimension)) settle(dimension, value[axis]);
      }
    }
  }
  if (wrong.length > 0) throw new InputError(wrong.join('\n'));
  const inputs = graph.inputs.map((input) => ({
    ...input,
    shape: input.shape.map(
      (dimension) => (isSymbol(dimension) ? sizes.get(dimension) : undefined) ?? dimension,
    ),
  }));
  return { ...graph, inputs };
}

/** Names of the dimensions that inputs leave open, beside the batch. */
export function openSizes(inputs: readonly ValueInfo[]): string[] {
  const batches = batchNames(inputs);
  const names = inputs.flatMap(({ shape: [, ...sizes] }) => sizes.filter(isSymbol));
  return [...new Set(names)].filter((name) => !batches.has(name));
}

function batchNames(inputs: readonly ValueInfo[]): ReadonlySet<string> {
  return new Set(inputs.flatMap(({ shape: [batch] }) => (isSymbol(batch) ? [batch] : [])));
}

/** What to pass where inputs have sizes that are not fixed, for messages; undefined where all are. */
export function inputShapeAdvice(inputs: readonly ValueInfo[]): string | undefined {
  const open = new Set(inputs.flatMap(({ shape: [, ...sizes] }) => sizes.filter(isSymbol)));
  if (open.size === 0) return undefined;
  // Dimensions without a name of their own are called by their input and axis (onnx/decode.ts).
  const names = [...open].map((name) => `${name}=…`);
  return `pass ${inputShapeOf([...open])} to loadModel, or --input-shape ${names.join(',')} on the command line`;
}

/** The option with places for these sizes, for messages. */
export function inputShapeOf(names: readonly string[]): string {
  const keys = names.map((name) => (/^\w+$/.test(name) ? name : JSON.stringify(name)));
  return `inputShape: { ${keys.map((key) => `${key}: …`).join(', ')} }`;
}

function isSymbol(dimension: Dimension | undefined): dimension is string {
  return typeof dimension === 'string';
}

/** The batch may be any. */
function fits({ shape }: ValueInfo, sizes: readonly number[]): boolean {
  return (
    sizes.length === shape.length &&
    shape.every((dimension, axis) => axis === 0 || isSymbol(dimension) || dimension === sizes[axis])
  );
}

function described({ inputs }: Inputs): string {
  const shapes = inputs.map(({ name, shape }) => `"${name}" [${shape.join(', ')}]`);
  return `the model takes ${shapes.join(' and ')}`;
}
