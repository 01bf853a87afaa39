/** Which QuantizeLinear a float value ends in. */
import type { GraphIndex } from '../graph/graph-index.ts';
import type { Graph, Node } from '../graph/graph.ts';
import { keepsValues } from '../graph/operators/operator.ts';
import { quantizeLinear } from '../graph/operators/quantize-linear.ts';
import { roleOf } from '../graph/operators/registry.ts';
import { activationParameters, hasBadScale, parametersKey } from './parameters.ts';

/** What the readers of a float value want of it, those behind selections, renamings and clamps included. */
export interface Demand {
  /** A QuantizeLinear that ends the way of some readers. */
  readonly quantizer: Node | undefined;
  /** Why no tensor of `quantizer`'s serves all readers, undefined where it does. */
  readonly conflict: string | undefined;
}

export const NO_DEMAND: Demand = { quantizer: undefined, conflict: undefined };

/** Of a QuantizeLinear: one that no tensor can be quantized by runs as a host stage, which reads the value itself. */
function demandOf(graph: Graph, quantizer: Node): Demand {
  const parameters = activationParameters(graph, quantizer);
  return typeof parameters === 'object' || hasBadScale(graph, quantizer)
    ? { quantizer, conflict: undefined }
    : { quantizer: undefined, conflict: `"${quantizer.name}": ${parameters}` };
}

/** What is wanted of each result of a node. */
export class Demands {
  readonly #index: GraphIndex;
  readonly #known = new Map<string, Demand>();

  constructor(index: GraphIndex) {
    this.#index = index;
    // From the end, so that what is wanted of a reader's result is known before its input is asked about.
    for (const { outputs } of index.graph.nodes.toReversed()) {
      for (const name of outputs) this.#known.set(name, this.of(name));
    }
  }

  get(name: string): Demand {
    return this.#known.get(name) ?? NO_DEMAND;
  }

  /**
   * What quantizes a value may do so before operators that only select from it, rename it or clamp it: the
   * integers are the same. Readers that take the value itself, or quantize it otherwise, then stand in the way.
   */
  of(name: string): Demand {
    const { graph } = this.#index;
    const quantizers = new Map<string, Node>();
    let conflict = this.#index.outputs.has(name)
      ? `"${name}" is quantized, but is an output of the graph before that`
      : undefined;
    for (const reader of this.#index.readers(name)) {
      const role = roleOf(graph, reader);
      const passes = keepsValues(role) || role === 'clamps';
      const behind: Demand =
        quantizeLinear.is(reader) && reader.inputs[0] === name
          ? demandOf(graph, reader)
          : passes && reader.inputs[0] === name
            ? this.get(reader.outputs[0])
            : NO_DEMAND;
      conflict ??= behind.conflict;
      if (behind.quantizer) quantizers.set(parametersKey(graph, behind.quantizer), behind.quantizer);
      else {
        conflict ??= `"${name}" is quantized, but ${reader.op} "${reader.name}" reads it before its QuantizeLinear`;
      }
    }
    if (quantizers.size > 1) conflict ??= `"${name}" is quantized in ${quantizers.size} different ways`;
    const [quantizer] = quantizers.values();
    return { quantizer, conflict };
  }
}
