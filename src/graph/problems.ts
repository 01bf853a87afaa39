import { ModelError, type ModelProblem, shorten } from '../errors.ts';
import type { Node } from './graph.ts';

/** Characters of a reason that are kept: what it quotes is the file's, and may be long. */
const LONGEST_REASON = 1_000;

/** Collects what is wrong with a model, so that one ModelError reports all of it. */
export class Problems {
  readonly list: ModelProblem[] = [];
  readonly #nodes = new Set<string>();
  /** Version of the default operator set, once known: part of every node's problem. */
  opset: number | undefined;

  constructor(opset?: number) {
    this.opset = opset;
  }

  /** A problem of the file as a whole, or of the tensor or value called `name`. */
  add(reason: string, name = ''): void {
    this.list.push({ node: name, op: '', reason: shorten(reason, LONGEST_REASON) });
  }

  node(node: Pick<Node, 'name' | 'op'>, reason: string): void {
    const { opset } = this;
    this.#nodes.add(node.name);
    this.list.push({
      node: node.name,
      op: node.op,
      reason: shorten(reason, LONGEST_REASON),
      ...(opset === undefined ? {} : { opset }),
    });
  }

  /** Whether a problem of `node` was reported. */
  concern(node: Pick<Node, 'name'>): boolean {
    return this.#nodes.has(node.name);
  }

  /** @throws {ModelError} with every problem, where there is one. */
  throwIfAny(): void {
    if (this.list.length > 0) throw new ModelError(this.list);
  }
}
