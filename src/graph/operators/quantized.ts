/**
 * Rows of operators that read and write integers (ONNX's QLinearConv, ONNX Runtime's QLinearAdd and the like): on import each becomes
 * the float operator between DequantizeLinear and QuantizeLinear, so that both ways to write a quantized model give one program.
 */
import type { Node } from '../graph.ts';
import { type NormalizeContext, typed, without } from './normalize-context.ts';
import { dequantizeLinear } from './dequantize-linear.ts';
import { defineOperator, type Known, type OnnxOperator } from './operator.ts';
import { quantizeLinear } from './quantize-linear.ts';
import type { AttributeSpec } from './signature.ts';

interface QuantizedDefinition {
  readonly op: string;
  readonly since?: number;
  /** The operator on real values. */
  readonly of: OnnxOperator;
  /** Most inputs. */
  readonly inputs: number;
  /** Positions of the operands; scale and zero point stand behind each. */
  operands(node: Node): readonly number[];
  /** Position of the result's scale, its zero point behind it. */
  readonly result: number;
  /** Position of an int32 bias, whose scale is the product of the operands'. */
  readonly bias?: number;
  readonly attributes?: Readonly<Record<string, AttributeSpec>>;
  /** Attributes that `of` does not have. */
  readonly dropped?: readonly string[];
  /** Axis of the second operand's scales where there are several. */
  axis?(node: Node, rank: number): number;
}

/** A row of role `none`: no such node is left once the model is read. */
export function quantizedOperator(definition: QuantizedDefinition): OnnxOperator {
  const { op, of, result, bias, attributes = {}, dropped = [] } = definition;
  const floatNode = (node: Node, inputs: readonly string[], output: string): Node => ({
    ...node,
    op: of.op,
    inputs,
    outputs: [output],
    attributes: without(node, ...dropped),
  });
  return defineOperator<string>({
    op,
    ...(definition.since !== undefined && { since: definition.since }),
    // Zero points in the middle may be left out.
    inputs: [1, definition.inputs],
    attributes,
    role: 'none',
    note: `read as ${of.op} between DequantizeLinear and QuantizeLinear`,
    shape(x, rest, node, context) {
      const known = [x, ...rest];
      const positions = [...definition.operands(node), ...(bias === undefined ? [] : [bias])];
      const real = (at: number): Known | undefined => {
        const input = known[at];
        return input && { dtype: 'float32', shape: input.shape };
      };
      const [first, ...others] = positions.map(real);
      if (!first || !known[definition.operands(node)[0]]) return 'lacks an input';
      const names = positions.map((at) => node.inputs[at] ?? '');
      const shape = of.shape(first, others, floatNode(node, names, node.outputs[0]), context);
      if (typeof shape !== 'object' || !Array.isArray(shape)) return shape;
      const integers = known[result + 1] ?? known[definition.operands(node)[0]]!;
      return { dtype: (node.inputs[result] ?? '') === '' ? 'float32' : integers.dtype, shape };
    },
    normalize(node, context) {
      if (node.attributes.channels_last === 1) {
        context.problems.node(node, 'channels_last is 1: only channels on axis 1 are supported');
      }
      const nodes: Node[] = [];
      const names = definition.operands(node).map((at, index) => {
        const axis =
          index === 1 ? definition.axis?.(node, typed(context, node.inputs[at])?.shape.length ?? 0) : 1;
        const dequantized = context.value(`${node.name}.operand${index}`);
        nodes.push(dequantizeOf(node, at, axis ?? 1, dequantized));
        return dequantized;
      });
      if (bias !== undefined && (node.inputs[bias] ?? '') !== '') {
        const dequantized = context.value(`${node.name}.bias`);
        nodes.push(biasOf(node, definition, bias, context, dequantized));
        names.push(dequantized);
      }
      if ((node.inputs[result] ?? '') === '') return [...nodes, floatNode(node, names, node.outputs[0])];
      const real = context.value(`${node.name}.real`);
      nodes.push(floatNode(node, names, real));
      const zeroPoint = node.inputs[result + 1] ?? '';
      nodes.push({
        name: context.value(`${node.name}.quantize`),
        op: quantizeLinear.op,
        inputs: [
          real,
          node.inputs[result],
          zeroPoint === '' ? zeroLike(node, node.inputs[definition.operands(node)[0]], context) : zeroPoint,
        ],
        outputs: node.outputs,
        attributes: {},
      });
      return nodes;
    },
  });
}

function dequantizeOf(node: Node, at: number, axis: number, output: string): Node {
  const [x, scale, zeroPoint = ''] = node.inputs.slice(at, at + 3);
  return {
    name: output,
    op: dequantizeLinear.op,
    inputs: zeroPoint === '' ? [x, scale] : [x, scale, zeroPoint],
    outputs: [output],
    attributes: { axis },
  };
}

/** A zero point of 0 of the type of `integers`. */
function zeroLike(node: Node, integers: string, context: NormalizeContext): string {
  const dtype = typed(context, integers)?.dtype === 'int8' ? 'int8' : 'uint8';
  const data = dtype === 'int8' ? new Int8Array(1) : new Uint8Array(1);
  return context.constant(`${node.name}.zero_point`, { dtype, shape: [], data });
}

/** `bias · s_x · s_w`: the scale of accumulators. */
function biasOf(
  node: Node,
  definition: QuantizedDefinition,
  bias: number,
  context: NormalizeContext,
  output: string,
): Node {
  const [x, w] = definition
    .operands(node)
    .map((at) => context.graph.constants.get(node.inputs[at + 1])?.data);
  if (x?.length !== 1 || !w) {
    context.problems.node(node, 'its scales must be constants, one of its first operand');
  }
  const data = Float32Array.from(w ? Array.from(w, Number) : [1], (scale) => scale * Number(x?.[0] ?? 1));
  const scale = context.constant(`${node.name}.bias_scale`, {
    dtype: 'float32',
    shape: data.length === 1 ? [] : [data.length],
    data,
  });
  return {
    name: output,
    op: dequantizeLinear.op,
    inputs: [node.inputs[bias], scale],
    outputs: [output],
    attributes: { axis: 0 },
  };
}
