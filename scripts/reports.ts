/**
 * Writes docs/reports.md, what `octet inspect` says of some networks, and the files it shows in docs/reports/. Takes a few minutes: the
 * sensitivity of each layer is measured.
 *
 *     npm run reports [-- vgg16 mobilenetv2 ...]     (of the networks named alone, into docs/reports/)
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { inspectFile, type InspectionOptions, readTarget, reportPictures } from '../src/cli/inspection.ts';
import { rankLayers, recipeText, worthChanging } from '../src/inspect/advice.ts';
import { findBlocks } from '../src/inspect/blocks.ts';
import { inspectModel, type Inspection } from '../src/inspect/inspect.ts';
import { blocksDot, layOut } from '../src/inspect/picture.ts';
import { inspectionHtml } from '../src/inspect/report.ts';
import { deviceProfiles } from '../src/inspect/target.ts';
import { inBits, inBytes, inCosts, inMilliseconds, inParts } from '../src/inspect/text.ts';
import { readGraph } from '../src/model/source.ts';
import type { Graph } from '../src/graph/graph.ts';
import { uNet } from '../test/support/unet.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'docs/reports');
const page = join(root, 'docs/reports.md');
const sheet = 'models/cifar10/test-1000.json';

/** Rows of the tables of what takes longest and of what loses most. */
const ROWS = 5;
/** Larger pictures and reports are not kept in the repository. */
const MOST_BYTES = 500_000;

interface Network {
  readonly title: string;
  readonly from: string;
  readonly source: string | (() => Graph);
  readonly options?: Partial<InspectionOptions>;
  /** Whether the whole report is kept. */
  readonly html?: boolean;
}

const networks: Readonly<Record<string, Network>> = {
  vgg16: {
    title: 'VGG16',
    from: '`models/vgg16-cifar10.onnx`, float, on 16 pictures of the test sheet (`--sensitivity`)',
    source: 'models/vgg16-cifar10.onnx',
    options: { images: [sheet], sensitivity: true },
    html: true,
  },
  mobilenetv2: {
    title: 'MobileNetV2',
    from: '`models/mobilenetv2-cifar10.onnx`, float, on 16 pictures of the test sheet (`--sensitivity`)',
    source: 'models/mobilenetv2-cifar10.onnx',
    options: { images: [sheet], sensitivity: true },
  },
  'efficientnet-lite0': {
    title: 'EfficientNet-Lite0',
    from: '`models/efficientnet-lite0.int8.onnx`, quantized; without its float original nothing is compared',
    source: 'models/efficientnet-lite0.int8.onnx',
  },
  unet: {
    title: 'A U-Net with a stage on the host',
    from: 'two levels of random weights, with a hardmax in the middle, which only the CPU computes (`test/support/unet.ts`)',
    source: () => uNet(128),
    html: true,
  },
};

const table = (head: readonly string[], rows: readonly (readonly (string | number)[])[]) =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');

const timeOf = (inspection: Inspection) =>
  [...inspection.operations].sort((a, b) => b.expected.ms - a.expected.ms).slice(0, ROWS);

/** What the network is expected to take on each built-in device. */
function onDevices(quantized: Graph): string {
  return table(
    ['device', 'on the device', 'on the host', 'dispatches', 'expected'],
    deviceProfiles.map(({ name }) => {
      const { totals } = inspectModel(quantized, { target: name });
      return [
        `\`${name}\``,
        `${totals.nodes.device} nodes`,
        `${totals.nodes.host} nodes`,
        totals.dispatches,
        inMilliseconds(totals.expectedMs),
      ];
    }),
  );
}

function accuracyText(inspection: Inspection): string[] {
  const { accuracy, sensitivity } = inspection;
  if (!accuracy || !sensitivity) return [];
  const ranked = rankLayers(inspection);
  const chosen = worthChanging(ranked);
  return [
    `${Math.round(accuracy.agreement! * accuracy.pictures)} of ${accuracy.pictures} pictures have the float model's class; the outputs differ by ${sensitivity.all.sqnr.toFixed(1)} dB: by the weights alone ${sensitivity.weights.sqnr.toFixed(1)} dB, by the activations alone ${sensitivity.activations.sqnr.toFixed(1)} dB. What loses most, and what would change it:`,
    table(
      ['layer', 'what', 'of the noise', 'alone', 'instead'],
      ranked
        .slice(0, ROWS)
        .map((layer) => [
          `\`${layer.name}\``,
          inParts(layer),
          `${(100 * layer.share).toFixed(1)} %`,
          `${layer.isolated.sqnr.toFixed(1)} dB`,
          inCosts(layer),
        ]),
    ),
    ...(chosen.length > 0
      ? [
          'For a recipe:',
          recipeText(chosen)
            .split('\n')
            .map((line) => `    ${line}`)
            .join('\n'),
        ]
      : []),
  ];
}

async function section(id: string, { title, from, source, options, html }: Network): Promise<string> {
  const graph = typeof source === 'string' ? await readGraph(join(root, source)) : source();
  const all: InspectionOptions = { target: 'webgpu', batch: 1, limit: 16, html: 'kept', ...options };
  const inspection = await inspectFile(
    title,
    graph,
    await readTarget(all.target),
    all,
    new AbortController().signal,
  );
  const { model, totals, memory } = inspection;
  const kept: string[] = [];
  const keep = async (name: string, text: string) => {
    const isSmall = Buffer.byteLength(text) <= MOST_BYTES;
    if (isSmall) await writeFile(join(folder, name), text);
    else process.stdout.write(`${name}: ${inBytes(Buffer.byteLength(text))}, not kept\n`);
    return isSmall;
  };
  const blocks = findBlocks(inspection.nodes);
  if (blocks.length > 1 && (await keep(`${id}.svg`, await layOut(blocksDot(inspection, blocks))))) {
    kept.push(`![${title} by blocks](reports/${id}.svg)`);
  }
  if (html) {
    const text = await inspectionHtml(inspection, { pictures: await reportPictures(all) });
    if (await keep(`${id}.html`, text)) {
      kept.push(`[The whole report](reports/${id}.html): save it and open it.`);
    }
  }
  return [
    `## ${title}`,
    `Of ${from}. ${model.parameters.toLocaleString('en')} parameters, ${model.macs.toLocaleString('en')} multiply-adds an image; ${inspection.operations.length} operations, ${inBytes(totals.constantBytes)} of constants and ${inBytes(memory!.peakBytes)} of activations in memory.`,
    onDevices(graph),
    'What takes longest on `webgpu`:',
    table(
      ['operation', 'kernel', 'multiply-adds', 'largest sum', 'expected', 'waits for'],
      timeOf(inspection).map(({ name, kernel, macs, accumulatorBound, expected }) => [
        `\`${name}\``,
        kernel ?? 'on the CPU',
        macs.toLocaleString('en'),
        inBits(accumulatorBound),
        inMilliseconds(expected.ms),
        expected.limit,
      ]),
    ),
    ...accuracyText(inspection),
    ...kept,
  ].join('\n\n');
}

await mkdir(folder, { recursive: true });
const named = process.argv.slice(2);
const sections: string[] = [];
for (const [id, network] of Object.entries(networks)) {
  if (named.length > 0 && !named.includes(id)) continue;
  process.stdout.write(`${network.title}\n`);
  sections.push(await section(id, network));
}
if (named.length === 0) {
  const text = [
    '# A gallery of reports',
    'What [`octet inspect`](inspect.md) says of four networks, in short. `npm run reports` writes this page. Times are expected ones, by the nominal figures of the built-in profiles: they rank devices and layers, and are no promise. [reports/resnet20.html](reports/resnet20.html) is a whole report with accuracy and sensitivity.',
    ...sections,
  ].join('\n\n');
  const before = await readFile(page, 'utf8').catch(() => '');
  const after = await format(text, { ...(await resolveConfig(page)), filepath: page });
  if (after !== before) await writeFile(page, after);
}
