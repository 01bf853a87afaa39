/**
 * The batch in front, whatever exporters do with it: attention has queries, keys and values before it ([3, N, T, C]), sequences may come first
 * ([T, N, C]), heads, windows and patches are folded into it ([N·heads, T, C]). All that follows computes image by image and wants
 * [N, …]: here each value is followed to where its batch lies, and computed with the batch moved, or unfolded, to the front.
 */
import { constantNumbers, resolveAxis } from '../attributes.ts';
import type { Attribute, Graph, Node, Tensor } from '../graph.ts';
import { indexGraph } from '../graph-index.ts';
import { inferShapes } from '../infer-shapes.ts';
import { add } from '../operators/add.ts';
import { concat } from '../operators/concat.ts';
import { dequantizeLinear } from '../operators/dequantize-linear.ts';
import { expand } from '../operators/expand.ts';
import { gather } from '../operators/gather.ts';
import { gemm } from '../operators/gemm.ts';
import { matMul } from '../operators/mat-mul.ts';
import { int64 } from '../operators/normalize-context.ts';
import { quantizeLinear } from '../operators/quantize-linear.ts';
import { operatorOf, roleOf } from '../operators/registry.ts';
import { reshape } from '../operators/reshape.ts';
import { slice } from '../operators/slice.ts';
import { split } from '../operators/split.ts';
import { tile } from '../operators/tile.ts';
import { transpose, transposedAxes } from '../operators/transpose.ts';
import { Problems } from '../problems.ts';
import { Names, valueNames } from '../rewrite.ts';
import { removeUnused } from './remove-unused.ts';
import { settle } from './settle.ts';

/**
 * Where the batch is of a value: dimension `axis` has `before · N · behind` elements, N the middle one of the three. Of a file that fixes
 * it at 1 a value may have no dimension for it.
 */
interface Place {
  /** −1: none. */
  readonly axis: number;
  readonly before: number;
  readonly behind: number;
}

const FIRST: Place = { axis: 0, before: 1, behind: 1 };
const NOWHERE: Place = { axis: -1, before: 1, behind: 1 };

export interface BatchFirstOptions {
  /**
   * Whether recurrent networks, too, have the batch in front (`layout` 1), which ONNX Runtime does not know; else transpositions stand around
   * them. Default false.
   */
  readonly recurrence?: boolean;
}

/**
 * The graph itself where the batch is in front of all values, or lies where it cannot be moved from. Expects settled shapes.
 */
export function batchFirst(graph: Graph, options: BatchFirstOptions = {}): Graph {
  const batch = batchOf(graph);
  if (batch === undefined || !mayMove(graph)) return graph;
  try {
    return new BatchFirst(graph, batch, options).run();
  } catch (error) {
    if (error instanceof Stuck) return graph;
    throw error;
  }
}

/** Thrown where a node cannot be rewritten; caught by `batchFirst`. */
class Stuck extends Error {}

/** The batch that shapes are followed with: 1 where the file fixes it, else a prime that divides no other size of the graph. */
function batchOf({ inputs, values, constants }: Graph): number | undefined {
  const batches = new Set(inputs.map(({ shape }) => shape[0]));
  const [batch] = batches;
  if (batches.size !== 1 || (typeof batch === 'number' && batch !== 1)) return undefined;
  if (batch === 1) return 1;
  const sizes = new Set([...values.values(), ...constants.values()].flatMap(({ shape }) => shape));
  return PRIMES.find((prime) =>
    [...sizes].every((size) => !size || typeof size === 'string' || size % prime !== 0),
  );
}

/** One that shows what depends on the batch. */
const OTHER_BATCH = 3;
const PRIMES = [5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47] as const;

/** The graph with a number for its batch, so that all sizes are known. */
function sizedBy(graph: Graph, batch: number): Graph {
  const inputs = graph.inputs.map((input) => ({ ...input, shape: [batch, ...input.shape.slice(1)] }));
  const problems = new Problems(graph.opset);
  const outputs = graph.outputs.map((output) => ({ ...output, shape: [] }));
  const sized = settle({ ...graph, inputs, outputs, values: new Map() }, problems);
  if (problems.list.length > 0) throw new Stuck();
  return sized;
}

/** Whether some value has its batch elsewhere: only what moves or renames elements takes it there. */
function mayMove(graph: Graph): boolean {
  const batch = graph.inputs[0].shape[0];
  return graph.nodes.some((node) => {
    const isOfPlaces = transpose.is(node) || roleOf(graph, node) === 'renames';
    const info = graph.values.get(node.outputs[0]);
    return isOfPlaces && info?.dtype !== 'int64' && info?.shape[0] !== batch;
  });
}

class BatchFirst {
  readonly #graph: Graph;
  /** With the batch as a number, so that all sizes are. */
  readonly #sized: Graph;
  readonly #batch: number;
  readonly #movesRecurrence: boolean;
  readonly #names: Names;
  readonly #nodeNames: Names;
  readonly #constants: Map<string, Tensor>;
  readonly #nodes: Node[] = [];
  readonly #places = new Map<string, Place>();
  /** Under what name a value is computed with its batch in front. */
  readonly #moved = new Map<string, string>();
  #isChanged = false;

  constructor(graph: Graph, batch: number, { recurrence = false }: BatchFirstOptions) {
    this.#graph = graph;
    this.#movesRecurrence = recurrence;
    this.#batch = batch;
    this.#sized = sizedBy(graph, batch);
    this.#names = valueNames(graph);
    this.#nodeNames = new Names(graph.nodes.map(({ name }) => name));
    this.#constants = new Map(graph.constants);
    for (const { name } of graph.inputs) if (!graph.constants.has(name)) this.#places.set(name, FIRST);
  }

  run(): Graph {
    for (const node of this.#graph.nodes) this.#node(node);
    if (!this.#isChanged) return this.#graph;
    for (const { name } of this.#graph.outputs) this.#restore(name);
    const graph = removeUnused({ ...this.#graph, nodes: this.#nodes, constants: this.#constants });
    // Sizes may be computed from values that are no longer there.
    const index = indexGraph(graph);
    const inputs = new Set(graph.inputs.map(({ name }) => name));
    const isThere = (name: string) =>
      name === '' || graph.constants.has(name) || inputs.has(name) || index.producer(name) !== undefined;
    if (!graph.nodes.every((node) => node.inputs.every(isThere))) throw new Stuck();
    return inferShapes({ ...graph, values: new Map() });
  }

  #node(node: Node): void {
    const placed = node.inputs.filter((name) => this.#places.has(name));
    const [output] = node.outputs;
    const { dtype } = this.#sized.values.get(output) ?? this.#sized.constants.get(output) ?? {};
    const isOfSizes = dtype === 'int64';
    if (placed.length === 0 || isOfSizes) {
      this.#nodes.push(node);
      return;
    }
    const isInFront = placed.every((name) => isFirst(this.#places.get(name)!));
    const row = operatorOf(this.#graph, node);
    if (transpose.is(node)) this.#transpose(node);
    else if (row?.role === 'renames') this.#rename(node, isInFront);
    else if (isInFront) this.#keep(node);
    else if (quantizeLinear.is(node) || dequantizeLinear.is(node)) this.#pair(node);
    else if (matMul.is(node)) this.#matMul(node);
    else if (gemm.is(node)) this.#gemm(node);
    else if (slice.is(node)) this.#slice(node);
    else if (gather.is(node)) this.#gather(node);
    else if (concat.is(node)) this.#concat(node);
    else if (split.is(node)) this.#split(node);
    else if (tile.is(node)) this.#tile(node);
    else if (expand.is(node)) this.#expand(node);
    else if (row && 'layout' in row.attributes) this.#recurrent(node);
    else if (row && 'keepdims' in row.attributes && 'noop_with_empty_axes' in row.attributes)
      this.#reduce(node);
    else if (row && 'axis' in row.attributes) this.#alongAxis(node, row.number(node, 'axis'));
    else if (row?.channelwise) throw new Stuck();
    else if (row?.role === 'pointwise' || row?.role === 'clamps' || row?.binary) this.#elementwise(node);
    else throw new Stuck();
  }

  /** A node whose inputs have the batch in front, and so its results. */
  #keep(node: Node): void {
    this.#nodes.push({ ...node, inputs: node.inputs.map((name) => this.#moved.get(name) ?? name) });
    for (const name of node.outputs) this.#places.set(name, FIRST);
  }

  #transpose(node: Node): void {
    const [input] = node.inputs;
    const place = this.#places.get(input)!;
    const axes = transposedAxes(node, this.#sizes(input).length);
    const to = { ...place, axis: axes.indexOf(place.axis) };
    const own = axesIn(place, axes.length);
    const perm = [0, ...axes.flatMap((axis) => own[axis])];
    if (perm.every((axis, i) => axis === i)) this.#alias(node, to);
    else this.#emit(node, to, { attributes: { perm } });
  }

  #rename(node: Node, isInFront: boolean): void {
    const [input] = node.inputs;
    const [output] = node.outputs;
    const place = this.#places.get(input)!;
    const from = this.#sizes(input);
    const to = this.#renamedPlace(from, place, this.#sizes(output));
    const target = node.inputs[1];
    const isFixed = node.inputs.length < 2 || this.#graph.constants.has(target);
    if (isInFront && isFirst(to) && (isFixed || !this.#isChanged)) {
      this.#keep(node);
      return;
    }
    const sizes = this.#moveSizes(to, this.#sizes(output));
    if (sizes.join() === this.#moveSizes(place, from).join()) this.#alias(node, to);
    else this.#reshape(node, this.#read(input), sizes, to);
  }

  /** The batch stays between the elements that it is between. */
  #renamedPlace(from: readonly number[], { axis, before }: Place, to: readonly number[]): Place {
    const ahead = axis < 0 ? 1 : product(from.slice(0, axis)) * before;
    if (this.#batch === 1) {
      const at = to.findIndex((size, i) => size === 1 && product(to.slice(0, i)) === ahead);
      return at < 0 ? NOWHERE : { ...FIRST, axis: at };
    }
    for (let at = 0, elements = 1; at < to.length && ahead % elements === 0; elements *= to[at++]) {
      const own = ahead / elements;
      const behind = to[at] / (this.#batch * own);
      if (Number.isInteger(behind) && behind > 0) return { axis: at, before: own, behind };
    }
    throw new Stuck();
  }

  #pair(node: Node): void {
    if (this.#graph.constants.get(node.inputs[1])?.data.length !== 1) throw new Stuck();
    this.#emit(node, this.#places.get(node.inputs[0])!, {});
  }

  #elementwise(node: Node): void {
    const rank = this.#sizes(node.outputs[0]).length;
    const places = node.inputs.flatMap((name) => {
      const place = this.#places.get(name);
      if (!place) return [];
      return place.axis < 0 ? [place] : [{ ...place, axis: place.axis + rank - this.#sizes(name).length }];
    });
    const place = this.#same(places, node);
    const inputs = node.inputs.map((name) => {
      if (name === '') return name;
      const own = this.#places.get(name);
      if (own) {
        const missing = rank - this.#sizes(name).length;
        if (missing === 0) return this.#read(name);
        const sizes = this.#moveSizes(own, this.#sizes(name));
        return this.#added(node, this.#read(name), [...Array<number>(missing).fill(1), ...sizes]);
      }
      return this.#aligned(name, place, rank);
    });
    this.#emit(node, place, { inputs });
  }

  /** A constant that is joined with values of `rank` dimensions, as it is joined with them when their batch is in front. */
  #aligned(given: string, place: Place, rank: number): string {
    const name = this.#constant(given);
    const constant = this.#constants.get(name)!;
    const missing = rank - constant.shape.length;
    if (missing > place.axis) return name;
    const shape = [...Array<number>(missing).fill(1), ...constant.shape];
    if (shape[place.axis] !== 1) throw new Stuck();
    const own = [
      1,
      ...shape.slice(0, place.axis),
      ...folds(place).map(() => 1),
      ...shape.slice(place.axis + 1),
    ];
    const aligned = this.#names.fresh(`${name}.batchFirst`);
    this.#constants.set(aligned, { ...constant, name: aligned, shape: own });
    return aligned;
  }

  /** The name of a constant, or of what is computed from sizes without the batch. */
  #constant(name: string): string {
    if (this.#constants.has(name)) return name;
    const known = this.#moved.get(name);
    if (known !== undefined) return known;
    const value = this.#sized.constants.get(name);
    const other = sizedBy(this.#graph, this.#batch === 1 ? 1 : OTHER_BATCH).constants.get(name);
    if (!value || value.data.toString() !== other?.data.toString()) throw new Stuck();
    const held = this.#names.fresh(`${name}.value`);
    this.#constants.set(held, { ...value, name: held });
    this.#moved.set(name, held);
    return held;
  }

  #matMul(node: Node): void {
    const [a, b] = node.inputs;
    const rank = this.#sizes(a).length;
    const [placeA, placeB] = [a, b].map((name) => this.#places.get(name));
    if (placeA && !placeB && this.#sizes(b).length === 2 && placeA.axis < rank - 1) {
      this.#emit(node, placeA, { inputs: [this.#read(a), b] });
      return;
    }
    if (!placeA || !placeB || this.#sizes(b).length !== rank) throw new Stuck();
    const isOfMatrix = [placeA, placeB].some(({ axis }) => axis >= rank - 2);
    const place = isOfMatrix ? this.#nowhere(node) : this.#same([placeA, placeB], node);
    this.#emit(node, place, { inputs: [this.#read(a), this.#read(b)] });
  }

  /** Rows with the batch among them are a MatMul of [N, …, C]. */
  #gemm(node: Node): void {
    const [input, weights, bias = ''] = node.inputs;
    const place = this.#places.get(input)!;
    const constant = this.#graph.constants.get(weights);
    const isPlain = gemm.number(node, 'alpha') === 1 && gemm.number(node, 'beta') === 1;
    const [ahead, behind] = this.#graph.constants.get(bias)?.shape ?? [];
    const isRow = bias === '' || (ahead !== undefined && (behind === undefined || ahead === 1));
    if (place.axis > 0 || !constant || !isPlain || !isRow || gemm.number(node, 'transA') !== 0)
      throw new Stuck();
    const isTransposed = gemm.number(node, 'transB') !== 0;
    const matrix = isTransposed ? this.#transposed(constant) : weights;
    const inputs = [this.#read(input), matrix];
    if (bias === '') {
      this.#emit(node, place, { op: matMul.op, inputs, attributes: {} });
      return;
    }
    const rows = this.#names.fresh(`${node.outputs[0]}.product`);
    this.#nodes.push({ name: node.name, op: matMul.op, inputs, outputs: [rows], attributes: {} });
    const sum = { ...node, name: this.#nodeNames.fresh(`${node.name}.bias`) };
    this.#emit(sum, place, { op: add.op, inputs: [rows, bias], attributes: {} });
  }

  #transposed({ name, shape: [rows, columns], data, dtype }: Tensor): string {
    if (!(data instanceof Float32Array)) throw new Stuck();
    const transposed = this.#names.fresh(`${name}.transposed`);
    const turned = Float32Array.from(data, (_, i) => data[(i % rows) * columns + Math.floor(i / rows)]);
    this.#constants.set(transposed, { name: transposed, dtype, shape: [columns, rows], data: turned });
    return transposed;
  }

  #slice(node: Node): void {
    const [input, starts, ends, listed, ...steps] = node.inputs;
    const place = this.#places.get(input)!;
    const rank = this.#sizes(input).length;
    const axes =
      constantNumbers(this.#graph, listed) ??
      constantNumbers(this.#graph, starts)?.map((_, axis) => axis) ??
      [];
    const moved = this.#movedAxes(axes, place, rank);
    this.#emit(node, place, { inputs: [this.#read(input), starts, ends, this.#list(node, moved), ...steps] });
  }

  #gather(node: Node): void {
    const [input, indices] = node.inputs;
    const place = this.#places.get(input)!;
    const rank = this.#sizes(input).length;
    const [moved] = this.#movedAxes([gather.number(node, 'axis')], place, rank);
    const axis = resolveAxis(gather.number(node, 'axis'), rank)!;
    const indexRank = this.#graph.constants.get(indices)?.shape.length;
    if (indexRank === undefined || indexRank > 1) throw new Stuck();
    const to = { ...place, axis: place.axis - (indexRank === 0 && axis < place.axis ? 1 : 0) };
    this.#emit(node, to, { attributes: { axis: moved } });
  }

  #concat(node: Node): void {
    const places = node.inputs.map((name) => this.#places.get(name));
    if (!places.every((place) => place !== undefined)) throw new Stuck();
    const place = this.#same(places, node);
    const rank = this.#sizes(node.inputs[0]).length;
    const [axis] = this.#movedAxes([concat.number(node, 'axis')], place, rank);
    this.#emit(node, place, { attributes: { axis } });
  }

  #split(node: Node): void {
    const [input] = node.inputs;
    const place = this.#places.get(input)!;
    const [axis] = this.#movedAxes([split.number(node, 'axis')], place, this.#sizes(input).length);
    this.#emit(node, place, { attributes: { ...node.attributes, axis } });
  }

  #tile(node: Node): void {
    const [input, repeats] = node.inputs;
    const place = this.#places.get(input)!;
    const counts = constantNumbers(this.#graph, repeats);
    if (place.axis >= 0 || !counts) throw new Stuck();
    this.#emit(node, place, { inputs: [this.#read(input), this.#list(node, [1, ...counts])] });
  }

  #expand(node: Node): void {
    const [input, shape] = node.inputs;
    const place = this.#places.get(input)!;
    const from = this.#sizes(input);
    const to = this.#sizes(node.outputs[0]);
    if (place.axis >= 0 || !this.#graph.constants.has(shape)) throw new Stuck();
    const missing = Array<number>(to.length - from.length).fill(1);
    const source =
      missing.length > 0 ? this.#added(node, this.#read(input), [...missing, ...from]) : this.#read(input);
    this.#emit(node, place, { inputs: [source, this.#list(node, [1, ...to])] });
  }

  #reduce(node: Node): void {
    const [input, listed] = node.inputs;
    const place = this.#places.get(input)!;
    const rank = this.#sizes(input).length;
    const given =
      constantNumbers(this.#graph, listed) ?? (node.attributes.axes as readonly number[] | undefined);
    if ((listed && !given) || (!given?.length && node.attributes.noop_with_empty_axes === 1))
      throw new Stuck();
    const axes = given?.length ? given : [...this.#sizes(input).keys()];
    const moved = this.#movedAxes(axes, place, rank);
    const isKept = node.attributes.keepdims !== 0;
    const ahead = axes.filter((axis) => resolveAxis(axis, rank)! < place.axis).length;
    const to = { ...place, axis: place.axis - (isKept ? 0 : ahead) };
    if (node.attributes.axes) this.#emit(node, to, { attributes: { ...node.attributes, axes: moved } });
    else this.#emit(node, to, { inputs: [this.#read(input), this.#list(node, moved)] });
  }

  /** A function of the elements along an axis behind the batch, or along all from there on. */
  #alongAxis(node: Node, given: number): void {
    const [input, ...rest] = node.inputs;
    const place = this.#places.get(input)!;
    const rank = this.#sizes(input).length;
    const axis = resolveAxis(given, rank) ?? 0;
    if (axis <= place.axis || rest.some((name) => this.#places.has(name)) || node.outputs.length > 1)
      throw new Stuck();
    if (this.#sizes(node.outputs[0]).join() !== this.#sizes(input).join()) throw new Stuck();
    const [moved] = this.#movedAxes([axis], place, rank);
    this.#emit(node, place, { attributes: { ...node.attributes, axis: moved } });
  }

  /** Recurrent networks take [T, N, C] and give [T, D, N, H] and states [D, N, H]. */
  #recurrent(node: Node): void {
    const [sequence, ...rest] = node.inputs;
    const place = this.#places.get(sequence)!;
    const isSequence = place.axis === 1 && place.before === 1 && place.behind === 1;
    if (!isSequence || node.attributes.layout === 1 || rest.some((name) => this.#places.has(name))) {
      throw new Stuck();
    }
    const given = [...rest.slice(0, 3), ...rest.slice(3).map((name) => this.#state(name))];
    const axes = [2, 1, 1];
    const moved = node.outputs.map((output) => output && this.#names.fresh(`${output}.batchFirst`));
    this.#isChanged = true;
    if (this.#movesRecurrence) {
      const inputs = [this.#read(sequence), ...given];
      this.#nodes.push({ ...node, inputs, outputs: moved, attributes: { ...node.attributes, layout: 1 } });
    } else {
      const turned = this.#names.fresh(`${sequence}.sequence`);
      this.#transposition(node, this.#read(sequence), turned, [1, 0, 2]);
      this.#nodes.push({ ...node, inputs: [turned, ...given] });
    }
    for (const [i, output] of node.outputs.entries()) {
      if (output === '') continue;
      this.#places.set(output, { axis: axes[i], before: 1, behind: 1 });
      this.#moved.set(output, moved[i]);
      if (this.#movesRecurrence) continue;
      const others = Array.from({ length: i === 0 ? 4 : 3 }, (_, axis) => axis).filter(
        (axis) => axis !== axes[i],
      );
      this.#transposition(node, output, moved[i], [axes[i], ...others]);
    }
  }

  /** A first state of zeros may be left out. */
  #state(name: string): string {
    if (name === '' || this.#sized.constants.get(name)?.data.every((each: unknown) => each === 0)) return '';
    if (this.#movesRecurrence) throw new Stuck();
    return name;
  }

  /** Gives an output of the graph its own shape. */
  #restore(name: string): void {
    const place = this.#places.get(name);
    const moved = this.#moved.get(name);
    if (!place || moved === undefined || this.#nodes.some(({ outputs }) => outputs.includes(name))) return;
    if (place.axis < 0 || place.before !== 1 || place.behind !== 1) throw new Stuck();
    const others = this.#sizes(name)
      .slice(1)
      .map((_, axis) => axis + 1);
    const node = { name, op: transpose.op, inputs: [], outputs: [name], attributes: {} };
    this.#transposition(node, moved, name, others.toSpliced(place.axis, 0, 0));
  }

  /** The place of all values that a node joins; of a batch of 1 that has several, nowhere: they are brought there. */
  #same(places: readonly Place[], node: Node): Place {
    const [first, ...others] = places;
    const isSame = (place: Place) =>
      place.axis === first.axis && place.before === first.before && place.behind === first.behind;
    return others.every(isSame) ? first : this.#nowhere(node);
  }

  #nowhere(node: Node): Place {
    if (this.#batch !== 1) throw new Stuck();
    for (const name of new Set(node.inputs)) {
      const place = this.#places.get(name);
      if (!place || place.axis < 0) continue;
      this.#moved.set(name, this.#added(node, this.#read(name), this.#sizes(name)));
      this.#places.set(name, NOWHERE);
    }
    return NOWHERE;
  }

  #sizes(name: string): readonly number[] {
    const { shape } = this.#sized.values.get(name) ?? this.#sized.constants.get(name) ?? {};
    if (!shape?.every((size) => typeof size === 'number')) throw new Stuck();
    return shape;
  }

  /** Sizes behind the batch of a value that has it in front. */
  #moveSizes(place: Place, sizes: readonly number[]): readonly number[] {
    return place.axis < 0 ? sizes : sizes.toSpliced(place.axis, 1, ...folds(place));
  }

  #movedAxes(axes: readonly number[], place: Place, rank: number): number[] {
    const own = axesIn(place, rank);
    return axes.map((given) => {
      const axis = resolveAxis(given, rank);
      if (axis === undefined || axis === place.axis) throw new Stuck();
      return own[axis][0];
    });
  }

  #read(name: string): string {
    return this.#moved.get(name) ?? name;
  }

  #list(node: Node, values: readonly number[]): string {
    const name = this.#names.fresh(`${node.name}.list`);
    this.#constants.set(name, { name, ...int64(values) });
    return name;
  }

  /** The result is what its input is. */
  #alias(node: Node, place: Place): void {
    const [output] = node.outputs;
    const source = this.#read(node.inputs[0]);
    if (isFirst(place)) {
      // Under its own name, which may be an output's.
      this.#nodes.push({
        ...node,
        op: reshape.op,
        ...this.#reshapeOf(node, source, this.#sizes(output).slice(1)),
      });
      this.#places.set(output, FIRST);
      return;
    }
    this.#isChanged = true;
    this.#places.set(output, place);
    this.#moved.set(output, source);
  }

  #reshape(node: Node, source: string, sizes: readonly number[], place: Place): void {
    this.#emit(node, place, { op: reshape.op, ...this.#reshapeOf(node, source, sizes) });
  }

  #reshapeOf(node: Node, source: string, sizes: readonly number[]): Pick<Node, 'inputs' | 'attributes'> {
    return { inputs: [source, this.#list(node, [0, ...sizes])], attributes: {} };
  }

  /** `source` under other sizes behind the batch. */
  #added(node: Node, source: string, sizes: readonly number[]): string {
    const output = this.#names.fresh(`${source}.reshaped`);
    const name = this.#nodeNames.fresh(`${node.name}.reshape`);
    this.#nodes.push({ name, op: reshape.op, outputs: [output], ...this.#reshapeOf(node, source, sizes) });
    return output;
  }

  #transposition(node: Node, from: string, to: string, perm: readonly number[]): void {
    const name = this.#nodeNames.fresh(`${node.name}.transpose`);
    this.#nodes.push({ name, op: transpose.op, inputs: [from], outputs: [to], attributes: { perm } });
  }

  /** The node with what changes; its other inputs as they are read now. */
  #emit(
    node: Node,
    place: Place,
    change: { op?: string; inputs?: readonly string[]; attributes?: Readonly<Record<string, Attribute>> },
  ): void {
    this.#isChanged = true;
    const inputs = node.inputs.map((name) => this.#read(name));
    const outputs = node.outputs.map((output) => {
      if (output === '') return output;
      this.#places.set(output, place);
      const to = isFirst(place) ? output : this.#names.fresh(`${output}.batchFirst`);
      if (to !== output) this.#moved.set(output, to);
      return to;
    });
    this.#nodes.push({ ...node, inputs, ...change, outputs });
  }
}

function isFirst({ axis, before, behind }: Place): boolean {
  return axis === 0 && before === 1 && behind === 1;
}

/** Sizes of what is folded into the batch's dimension, in order. */
function folds({ before, behind }: Place): readonly number[] {
  return [before, behind].filter((size) => size > 1);
}

/** Which axes each one is when the batch is in front: of the batch's own, those that are folded into it. */
function axesIn(place: Place, rank: number): readonly (readonly number[])[] {
  let next = 1;
  return Array.from({ length: rank }, (_, axis) => {
    if (axis !== place.axis) return [next++];
    return folds(place).map(() => next++);
  });
}

function product(sizes: readonly number[]): number {
  return sizes.reduce((total, size) => total * size, 1);
}
