/** Times every variant of a layer's shape on an open device, and the register peaks they are compared with. */
import { median } from 'simple-statistics';
import { moreOperators } from '../src/ops/more-operators.ts';
import { createOperatorRegistry } from '../src/ops/registry.ts';
import type { ArithmeticFamily, GpuVariant } from '../src/ops/gpu-kernel.ts';
import { byteCount } from '../src/program/program.ts';
import { int8Weights } from '../src/program/weights.ts';
import type { Conv2dOperation, IntegerProgram } from '../src/program/program.ts';
import { ConstantCache } from '../src/webgpu/constants.ts';
import type { OpenDevice } from '../src/webgpu/device.ts';
import { candidates, planExecution } from '../src/webgpu/execution-plan.ts';
import { preparePeak } from '../src/webgpu/peak.ts';
import type { PeakProbe } from '../src/webgpu/peak.ts';
import { PipelineCache } from '../src/webgpu/pipelines.ts';
import { encode, preparePlan } from '../src/webgpu/prepared-plan.ts';
import type { PreparedPlan } from '../src/webgpu/prepared-plan.ts';
import { createStopwatch, timeInterleaved } from '../src/webgpu/stopwatch.ts';
import type { Stopwatch } from '../src/webgpu/stopwatch.ts';
import { createProgramBuilder, requantizeBy } from '../test/support/program-builder.ts';
import type { KernelResult, KernelRow } from './kernel-result.ts';
import { networks } from './networks.ts';
import type { LayerShape, NetworkName } from './networks.ts';

export interface KernelOptions {
  readonly networks: readonly NetworkName[];
  /** Batch sizes, each of which is timed. */
  readonly batches: readonly number[];
  readonly rounds: number;
  /** Only layers whose name contains it. */
  readonly layers?: string;
  /** Beside the default variant of each shape, only variants whose name contains one of these. */
  readonly variants?: readonly string[];
  /** Only the default variant of each shape. */
  readonly defaults: boolean;
}

/** A variant that takes this many times the best one's first time is not timed again. */
const HOPELESS = 4;

/** The layer alone. No kernel's time depends on the weights' values, but that they need 8 bits. */
export function programOf(layer: LayerShape): IntegerProgram {
  const { input, outChannels, kernel, stride, pad, groups, pool } = layer;
  const builder = createProgramBuilder();
  const x = builder.input([...input]);
  const size = (length: number): number =>
    Math.floor((length + 2 * pad - kernel) / stride + 1) >> (pool ? 1 : 0);
  const y = builder.tensor([size(input[0]), size(input[1]), outChannels]);
  builder.emit<Conv2dOperation>({
    kind: 'conv2d',
    name: layer.name,
    inputs: [x.id],
    output: y.id,
    kernel: [kernel, kernel],
    stride: [stride, stride],
    pads: [pad, pad, pad, pad],
    dilation: [1, 1],
    groups,
    weights: int8Weights(
      { outChannels, taps: kernel * kernel, inChannels: input[2] / groups },
      new Int8Array((outChannels * kernel * kernel * input[2]) / groups).fill(127),
    ),
    bias: new Int32Array(outChannels),
    requantize: requantizeBy(outChannels, () => 0.001, 0),
    pool,
    residual: null,
  });
  return builder.build(layer.name);
}

interface Prepared {
  readonly variant: GpuVariant;
  readonly plan: PreparedPlan;
}

interface Bench {
  readonly open: OpenDevice;
  readonly pipelines: PipelineCache;
  readonly constants: ConstantCache;
  readonly stopwatch: Stopwatch;
  readonly probes: readonly PeakProbe[];
}

async function benchLayer(
  bench: Bench,
  network: NetworkName,
  layer: LayerShape,
  batch: number,
  { rounds, defaults, variants: wanted = [''] }: KernelOptions,
): Promise<KernelRow[]> {
  const { open, pipelines, constants, stopwatch, probes } = bench;
  const operators = createOperatorRegistry(moreOperators);
  const program = programOf(layer);
  const operation = program.operations[0] as Conv2dOperation;
  const target = { program, operators, batch, capabilities: open.capabilities };
  const { variants, tuningKey } = candidates(operation, target);
  const prepared: Prepared[] = [];
  try {
    for (const [rank, variant] of variants.entries()) {
      if (rank > 0 && (defaults || !wanted.some((part) => variant.name.includes(part)))) continue;
      const plan = planExecution({ ...target, keep: [], choose: () => variant });
      prepared.push({ variant, plan: await preparePlan(open.device, plan, pipelines, constants) });
    }
    const families = new Set(prepared.map(({ variant }) => variant.family));
    const compared = probes.filter(({ family }) => families.has(family));
    const timed = await timeInterleaved<Prepared | PeakProbe>(stopwatch, [...prepared, ...compared], {
      rounds,
      encode: (pass, item) => {
        if ('macs' in item) item.encode(pass);
        else encode(pass, item.plan.dispatches);
      },
      dropSlowerThan: HOPELESS,
      isReference: (item) => 'macs' in item,
    });
    const peaks = new Map<ArithmeticFamily, number>();
    for (const { item, samples } of timed) {
      if ('macs' in item) peaks.set(item.family, item.macs / median(samples) / 1e6);
    }
    const macs = batch * operators.of(operation).macs(operation, (id) => program.tensors[id]);
    const bytes =
      operation.weights.rows().length +
      program.tensors.reduce((sum, tensor) => sum + byteCount(tensor, batch), 0);
    return timed.flatMap(({ item, samples }) => {
      if ('macs' in item) return [];
      const { variant } = item;
      const ms = median(samples);
      const gmacs = macs / ms / 1e6;
      const peak = peaks.get(variant.family)!;
      return {
        network,
        layer: layer.name,
        shape: tuningKey,
        variant: variant.name,
        family: variant.family,
        batch,
        ms,
        gmacs,
        peak,
        share: gmacs / peak,
        intensity: macs / bytes,
      };
    });
  } finally {
    for (const { plan } of prepared) plan.dispose();
  }
}

/** Rows hold the variants of a shape in the order in which the operator lists them, the default first. */
export async function timeKernels(
  open: OpenDevice,
  options: KernelOptions,
  log: (line: string) => void,
): Promise<Pick<KernelResult, 'peaks' | 'rows'>> {
  const pipelines = new PipelineCache(open.device);
  const stopwatch = createStopwatch(open.device, open.timestamps);
  const probes: PeakProbe[] = [];
  try {
    const families: Exclude<ArithmeticFamily, 'none'>[] = ['f32', 'i32'];
    if (open.capabilities.packedDot) families.unshift('dot4I8Packed');
    for (const family of families) {
      log(`filling the device, ${family}`);
      probes.push(await preparePeak(open.device, pipelines, stopwatch, family));
    }
    const bench: Bench = { open, pipelines, constants: new ConstantCache(open.device), stopwatch, probes };
    const rows: KernelRow[] = [];
    for (const network of options.networks) {
      for (const layer of networks[network]) {
        if (options.layers !== undefined && !layer.name.includes(options.layers)) continue;
        for (const batch of options.batches) {
          const measured = await benchLayer(bench, network, layer, batch, options);
          rows.push(...measured);
          const best = measured.reduce((a, b) => (b.gmacs > a.gmacs ? b : a));
          log(`${network} ${layer.name}, batch ${batch}: ${best.gmacs.toFixed(2)} GMAC/s by ${best.variant}`);
        }
      }
    }
    const peaks = Object.fromEntries(
      families.flatMap((family) => {
        const measured = rows.filter((row) => row.family === family).map(({ peak }) => peak);
        return measured.length > 0 ? [[family, median(measured)]] : [];
      }),
    );
    return { peaks, rows };
  } finally {
    for (const probe of probes) probe.dispose();
    stopwatch.dispose();
  }
}
