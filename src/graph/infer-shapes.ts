/** Types and shapes of all values of a graph, from its inputs and constants. A symbolic batch stays symbolic. */
import type { DType, Graph, Tensor, ValueInfo } from './graph.ts';
import { MAX_ELEMENTS, MAX_LIST, MAX_RANK } from './limits.ts';
import type { Known, Shape, ShapeContext, ShapeResult } from './operators/operator.ts';
import { operatorOf } from './operators/registry.ts';
import { Problems } from './problems.ts';
import { numericProduct, sameOrUnknown } from './shapes.ts';

/**
 * Fills `values` with type and shape of every value that can be told, and the shapes of the outputs. What the file
 * declares is kept for results of operators unknown here, and otherwise replaced.
 * @param problems Where given, takes the problems instead of a ModelError. Nodes it has a problem with already are passed over.
 * @throws {ModelError} with every node whose inputs do not fit it.
 */
export function inferShapes(graph: Graph, problems?: Problems): Graph {
  const found = problems ?? new Problems(graph.opset);
  const outputs = new Map(graph.outputs.map((info) => [info.name, info]));
  const values = new Map<string, ValueInfo>(graph.inputs.map((info) => [info.name, info]));
  const elements = new Map<string, Shape>();
  const context = shapeContext(graph, elements);

  for (const node of graph.nodes) {
    const name = node.outputs[0];
    const declared = outputs.get(name) ?? graph.values.get(name);
    const operator = operatorOf(graph, node);
    if (!operator || found.concern(node)) {
      if (declared) values.set(name, declared);
      continue;
    }
    const inputs = node.inputs.map((input) => values.get(input) ?? graph.constants.get(input));
    const complete = node.inputs.every((input, index) => input === '' || inputs[index]);
    if (!complete || !inputs[0]) continue;
    const result = operator.shape(inputs[0], inputs.slice(1), node, context);
    if (typeof result === 'string') found.node(node, result);
    if (typeof result !== 'object') continue;

    for (const [position, { dtype, shape }] of knownOutputs(result, inputs[0].dtype).entries()) {
      const name = node.outputs[position];
      if (!name) continue;
      if (shape.length > MAX_RANK) {
        found.node(node, `its result has ${shape.length} dimensions, more than ${MAX_RANK}`);
        continue;
      }
      if (numericProduct(shape) > MAX_ELEMENTS) {
        found.node(node, `its result, of shape [${shape}], has more elements than Octet can hold`);
        continue;
      }
      const output = outputs.get(name);
      if (output && !compatible(shape, output.shape)) {
        found.node(
          node,
          `its result is the graph's output "${name}", declared [${output.shape}], but has shape [${shape}]`,
        );
      }
      values.set(name, { ...(output ?? graph.values.get(name)), name, dtype, shape });
    }
    const known = operator.sizes?.(node, context, values);
    // Lists of sizes are short; a chain of Concats that double one is no shape computation.
    if (known && known.length <= MAX_LIST) elements.set(name, known);
  }
  if (!problems) found.throwIfAny();
  return { ...graph, values, outputs: graph.outputs.map((info) => values.get(info.name) ?? info) };
}

/** What rows ask of the graph; `elements` are the lists of sizes known beyond its constants. */
export function shapeContext(graph: Graph, elements: ReadonlyMap<string, Shape>): ShapeContext {
  const elementsOf = (name = ''): Shape | undefined =>
    elements.get(name) ?? integers(graph.constants.get(name));
  return {
    graph,
    elements: elementsOf,
    numbers(name) {
      const list = elementsOf(name);
      return list?.every((dim) => typeof dim === 'number') ? list : undefined;
    },
  };
}

function knownOutputs(result: Exclude<ShapeResult, string | undefined>, dtype: DType): readonly Known[] {
  if ('dtype' in result) return [result];
  return ('outputs' in result ? result.outputs : [result]).map((output) =>
    'dtype' in output ? output : { dtype, shape: output },
  );
}

/** Elements of a list of integers; weights are none, and too long to copy. */
function integers(tensor: Tensor | undefined): readonly number[] | undefined {
  const isList =
    tensor && tensor.shape.length <= 1 && tensor.data.length <= MAX_LIST && isInteger(tensor.dtype);
  return isList ? Array.from(tensor.data, Number) : undefined;
}

/** Types in which sizes are computed. */
function isInteger(dtype: DType | undefined): boolean {
  return dtype === 'int64' || dtype === 'int32';
}

/** A declaration without dimensions says nothing. */
function compatible(inferred: Shape, declared: Shape): boolean {
  if (declared.length === 0) return true;
  return (
    inferred.length === declared.length && inferred.every((dim, axis) => sameOrUnknown(dim, declared[axis]))
  );
}
