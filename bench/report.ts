/** Tables and pictures from a result, for the terminal, the README and docs/benchmarks.md. */
import type { GpuHostResult } from './gpu-host-result.ts';
import type { KernelResult } from './kernel-result.ts';
import type { BatchMeasurement, BenchContext, BenchResult, ContenderResult } from './result.ts';

function batchOf(result: ContenderResult, batch: number): BatchMeasurement | undefined {
  return result.batches?.find((measurement) => measurement.batch === batch);
}

function milliseconds(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** One row a contender; `×` columns say how many times longer than Octet on the same device and threads an image takes. */
export function markdownTable({ results }: BenchResult): string {
  const batches = [
    ...new Set(results.flatMap((result) => result.batches?.map(({ batch }) => batch) ?? [])),
  ].sort((a, b) => a - b);
  const shares = results.some(({ batches: own }) =>
    own?.some(({ shareOfPeak }) => shareOfPeak !== undefined),
  );
  const onGpu = results.some(({ contender }) => contender.device === 'webgpu');
  const inProcesses = results.some(({ peakBytes }) => peakBytes !== undefined);
  const header = [
    'engine',
    'download',
    'load',
    ...batches.flatMap((batch) => [
      `batch ${batch}: ms an image (p10–p90)`,
      '×',
      ...(shares ? ['of peak'] : []),
    ]),
    ...(onGpu ? ['GPU ms', 'GPU memory'] : []),
    ...(inProcesses ? ['memory'] : []),
    'top-1 checked',
  ];
  const rows = results.map((result) => {
    const { contender, load, codeBytes = 0 } = result;
    if (!load) return [contender.label, `failed: ${result.failed ?? 'unknown'}`];
    const cells = batches.flatMap((batch) => batchCells(result, batch, results).slice(0, shares ? 3 : 2));
    const gpuMs = batchOf(result, 1)?.gpuMs;
    return [
      contender.label,
      megabytes(load.modelBytes + codeBytes),
      `${milliseconds(load.readyMs + load.firstRunMs)} ms`,
      ...cells,
      ...(onGpu
        ? [
            gpuMs == null ? '–' : milliseconds(gpuMs),
            result.peakGpuBytes ? megabytes(result.peakGpuBytes) : '–',
          ]
        : []),
      ...(inProcesses ? [result.peakBytes === undefined ? '–' : megabytes(result.peakBytes)] : []),
      result.agreement ? `${result.agreement.same}/${result.agreement.of}` : '–',
    ];
  });
  return [tableOf(header, rows), ...notes(results)].join('\n');
}

/** For the README: one row an engine, medians only, then how the best of each engine compare. */
export function summaryTable({ results }: BenchResult): string {
  const batches = [
    ...new Set(results.flatMap((result) => result.batches?.map(({ batch }) => batch) ?? [])),
  ].sort((a, b) => a - b);
  const header = ['engine', 'download', 'load', ...batches.map((batch) => `ms an image, batch ${batch}`)];
  const rows = results.map((result) => {
    const { contender, load, codeBytes = 0, failed } = result;
    if (!load || failed !== undefined) return [contender.label, `failed: ${failed ?? 'unknown'}`];
    return [
      contender.label,
      megabytes(load.modelBytes + codeBytes),
      `${seconds(load.readyMs + load.firstRunMs)} s`,
      ...batches.map((batch) => {
        const measured = batchOf(result, batch);
        return measured ? milliseconds(measured.latencyMs.median / batch) : '–';
      }),
    ];
  });
  return [tableOf(header, rows), '', ...ratios(results, batches).map((line) => `- ${line}`)].join('\n');
}

const deviceNames = { webgpu: 'WebGPU', wasm: 'WebAssembly' } as const;
const peerNames = {
  'litert.js': 'LiteRT.js',
  'onnxruntime-web': 'onnxruntime-web',
  'tensorflow.js': 'TensorFlow.js',
} as const;

/** A line a device: how many times longer than Octet's best the best of each other library takes. */
function ratios(results: readonly ContenderResult[], batches: readonly number[]): string[] {
  return (['webgpu', 'wasm'] as const).flatMap((device) => {
    const best = (library: string, batch: number): number =>
      Math.min(
        ...results
          .filter(({ contender }) => contender.device === device && contender.library === library)
          .map((result) => batchOf(result, batch)?.latencyMs.median ?? Infinity),
      );
    const peers = Object.entries(peerNames).flatMap(([library, name]) => {
      const parts = batches.flatMap((batch) => {
        const ratio = best(library, batch) / best('octet', batch);
        return Number.isFinite(ratio) && ratio > 0 ? [`${ratio.toFixed(1)} times at batch ${batch}`] : [];
      });
      return parts.length > 0 ? [`${name} ${parts.join(', ')}`] : [];
    });
    return peers.length > 0
      ? [
          `${deviceNames[device]}, the best row of each: how many times as long as Octet an image takes: ${peers.join('; ')}.`,
        ]
      : [];
  });
}

/** VGG16 on one machine's own GPU: speed, and how much of the register peak. */
export function gpuHostTable({
  throughput,
  checks,
  kernelSuite,
  rows,
}: Pick<GpuHostResult, 'throughput' | 'checks' | 'kernelSuite' | 'rows'>): string {
  const header = [
    'tune',
    'batch',
    'ms a call (p10–p90)',
    'images/s, calls overlapped',
    'GPU ms',
    'of peak (layers that multiply)',
  ];
  const table = throughput.map(({ tune, batch, latencyMs, imagesPerSecond, gpuMs, layers }) => {
    const multiplying = layers.filter(({ share }) => share !== null);
    const total = multiplying.reduce((sum, { ms }) => sum + ms, 0);
    const ideal = multiplying.reduce((sum, { ms, share }) => sum + ms * share!, 0);
    const range = [latencyMs.p10, latencyMs.p90].map(milliseconds).join('–');
    return [
      tune,
      `${batch}`,
      `${milliseconds(latencyMs.median)} (${range})`,
      imagesPerSecond.toFixed(0),
      milliseconds(gpuMs),
      percent(ideal / total),
    ];
  });
  const elements = checks.reduce((sum, check) => sum + check.elements, 0);
  const differing = checks.reduce((sum, check) => sum + check.differing.length, 0);
  const peaks = Object.entries(throughput[0]?.peaks ?? {}).map(
    ([family, gmacs]) => `${family} ${gmacs.toFixed(1)} GMAC/s`,
  );
  return [
    `Against the reference: ${elements} elements of whole networks, ${differing} tensors differ; ${kernelSuite.cases} kernel cases, ` +
      `${kernelSuite.failures.length} failures. Register peak: ${peaks.join(', ')}. ${rows.length} kernel timings are in the JSON.`,
    '',
    tableOf(header, table),
  ].join('\n');
}

/** Latency, ratio to Octet's, share of the register peak. */
function batchCells(
  result: ContenderResult,
  batch: number,
  results: readonly ContenderResult[],
): [string, string, string] {
  const measured = batchOf(result, batch);
  if (!measured) return ['–', '', ''];
  const { contender } = result;
  const own = results.find(
    (other) =>
      other.contender.library === 'octet' &&
      other.contender.device === contender.device &&
      other.contender.threads === contender.threads,
  );
  const base = own && batchOf(own, batch)?.latencyMs.median;
  const { median, p10, p90, repetitions } = measured.latencyMs;
  const range = [p10, p90].map((value) => milliseconds(value / batch)).join('–');
  const few = repetitions < FEW ? `, n = ${repetitions}` : '';
  const share = measured.shareOfPeak;
  return [
    `${milliseconds(median / batch)} (${range}${few})`,
    base ? (median / base).toFixed(2) : '',
    share === undefined ? '' : percent(share),
  ];
}

/** A median of fewer samples says in the table of how many it is. */
const FEW = 10;

const percent = (share: number): string => `${(share * 100).toFixed(0)} %`;

/** Peaks that the shares are of, what was left out, and what failed after it had loaded. */
function notes(results: readonly ContenderResult[]): string[] {
  const lines = results.flatMap(({ contender, load, failed, leftOut = [], limit }) => [
    ...(load && failed !== undefined ? [`- ${contender.label}: failed: ${failed}`] : []),
    ...leftOut.map(({ batch, reason }) => `- ${contender.label}: batch ${batch} left out: ${reason}`),
    ...(limit ? [`- ${contender.label}: ${limitText(limit)}`] : []),
  ]);
  return lines.length > 0 ? ['', ...lines] : [];
}

/** Measured peaks, and how near its layers come to them. */
function limitText({ peaks, layers }: NonNullable<ContenderResult['limit']>): string {
  const measured = Object.entries(peaks)
    .map(([name, gmacs]) => `${name} ${gmacs.toFixed(1)} GMAC/s`)
    .join(', ');
  const total = layers.reduce((sum, { ms }) => sum + ms, 0);
  const ideal = layers.reduce((sum, { ms, share }) => sum + ms * share, 0);
  const alone = `; its layers, timed alone at batch 1, reach ${percent(ideal / total)} of it`;
  return `register peak: ${measured}${layers.length > 0 ? alone : ''}`;
}

function tableOf(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n');
}

/** The context block: what a reader must know before comparing with another machine. */
export function contextBlock({ context }: { readonly context: BenchContext }): string {
  const adapter = Object.values(context.adapter).filter(Boolean).join(', ');
  const pairs: [string, string][] = [
    ['date', context.date],
    ['octet', `${context.octet} (${context.commit})`],
    ['engine', context.engine],
    ...(adapter ? [['adapter', adapter] as [string, string]] : []),
    ['machine', `${context.cpu}, ${context.cores} cores, ${context.memoryGiB} GiB, ${context.platform}`],
    [
      'libraries',
      Object.entries(context.libraries)
        .map(([name, version]) => `${name} ${version}`)
        .join(', '),
    ],
    ['seed', String(context.seed)],
  ];
  return pairs.map(([name, value]) => `- ${name}: ${value}`).join('\n');
}

/** The default variant of each shape, and the fastest. `KernelResult.rows` hold a shape's variants in order, the default first. */
export function kernelTable({ rows, peaks }: KernelResult): string {
  const shapes = [...new Set(rows.map(({ network, shape }) => `${network} ${shape}`))];
  const header = [
    'network',
    'layer',
    'shape',
    'default',
    'GMAC/s',
    'of peak',
    'fastest',
    'GMAC/s',
    'of peak',
  ];
  const table = shapes.map((key) => {
    const own = rows.filter(({ network, shape }) => `${network} ${shape}` === key);
    const [first] = own;
    const best = own.reduce((a, b) => (b.gmacs > a.gmacs ? b : a));
    const cells = [first, best].flatMap(({ variant, gmacs, share }) => [
      variant,
      gmacs.toFixed(2),
      `${(share * 100).toFixed(0)} %`,
    ]);
    return [first.network, first.layer, first.shape, ...cells];
  });
  const peakLine = Object.entries(peaks).map(([family, gmacs]) => `${family} ${gmacs.toFixed(2)}`);
  return [`Register peaks in GMAC/s: ${peakLine.join(', ')}.`, '', tableOf(header, table)].join('\n');
}
