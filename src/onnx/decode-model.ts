/** `decodeModel`: ONNX bytes to a `Graph`, with every row at hand. What loads a model in a page fetches rare rows only where needed. */
import * as v from 'valibot';
import { check, fn, options as optionsOf } from '../arguments.ts';
import type { Graph } from '../graph/graph.ts';
import { hostOperators } from '../graph/operators/host-registry.ts';
import { onnxOperator } from '../graph/operators/operator.ts';
import { inputShapeSchema } from '../graph/passes/input-shape.ts';
import { morePasses } from '../graph/passes/more-passes.ts';
import { type DecodeModelOptions, openModel } from './decode.ts';

const decodeArguments = {
  bytes: v.instance(Uint8Array, 'a Uint8Array (new Uint8Array(buffer) makes one of an ArrayBuffer)'),
  options: optionsOf({
    externalData: fn,
    operators: v.array(onnxOperator, 'an array of OnnxOperators'),
    inputShape: inputShapeSchema,
  }),
};

/**
 * Decodes an ONNX model (opset 7 to 28). Differences between opsets are normalized to the forms of opset 13 and later,
 * half floats widened to float32, constants folded, shapes inferred, and nodes sorted topologically. Splits become Slices, channel shuffles
 * Gathers.
 *
 * Weights may be views of `bytes`: do not change them while the graph is in use.
 * @throws {ModelError} with every problem of the file
 * @throws {InputError} where `bytes` are none, or `inputShape` does not fit the file
 */
export function decodeModel(bytes: Uint8Array, options: DecodeModelOptions = {}): Graph {
  check('decodeModel', decodeArguments, { bytes, options });
  const { operators = [] } = options;
  return openModel(bytes).decode({
    ...options,
    operators: [...hostOperators, ...operators],
    passes: morePasses,
  }).graph;
}
