/** An inspection as one HTML file that needs nothing else: open it from a disk, send it, keep it with the model. */
import { gzipSync, strToU8 } from 'fflate';
import * as v from 'valibot';
import { check, options as optionsOf, text } from '../arguments.ts';
import { blocksDot, blockDot, layOut, toDot } from './picture.ts';
import { findBlocks } from './blocks.ts';
import { diffModels } from './diff-models.ts';
import type { Inspection } from './inspect.ts';
import type { ReportData } from './page/data.ts';
import { reportStyle } from './page/style.ts';
import { type Picture, pictureSchema } from '../vision/picture.ts';
import { anInspection } from './schema.ts';
import { thumbnail } from './thumbnail.ts';

export interface ReportOptions {
  /** Another version of the model: the report is then of what changed. */
  readonly before?: Inspection;
  /** The pictures that accuracy was measured on, in order: those that a layer breaks are shown, small. */
  readonly pictures?: readonly NamedPicture[];
}

export interface NamedPicture {
  readonly name: string;
  readonly picture: Picture;
}

const reportArguments = optionsOf({
  before: anInspection,
  pictures: v.array(
    v.object({ name: text, picture: pictureSchema }, 'a picture { name, picture }'),
    'a list of pictures',
  ),
});

/** What the page is made of: the graphs are laid out here, so that the page needs no Graphviz. */
async function reportData(
  inspection: Inspection,
  { before, pictures = [] }: ReportOptions,
): Promise<ReportData> {
  const blocks = findBlocks(inspection.nodes);
  const inside: string[] = [];
  for (const block of blocks) inside.push(await layOut(blockDot(inspection, block)));
  const texts = inspection.operations.map(({ kernelText }) => kernelText);
  const diff = before && diffModels(before, inspection);
  return {
    inspection: withoutTexts(inspection),
    nodes: await layOut(toDot(inspection, 'nodes')),
    operations: inspection.operations.length > 0 ? await layOut(toDot(inspection, 'operations')) : null,
    blocks:
      blocks.length > 0
        ? { picture: await layOut(blocksDot(inspection, blocks)), list: blocks, inside }
        : null,
    kernels: texts.some((each) => each !== null) ? packed(JSON.stringify(texts)) : null,
    pictures: pictures.map(({ name, picture }) => ({ name, src: thumbnail(picture) })),
    diff: diff ? { before: withoutTexts(diff.before), layers: diff.layers } : null,
  };
}

function withoutTexts(inspection: Inspection): Inspection {
  return { ...inspection, operations: inspection.operations.map((each) => ({ ...each, kernelText: null })) };
}

/** Gzip in base64. Without a time, so that the same report has the same bytes. */
function packed(json: string): string {
  const bytes = gzipSync(strToU8(json), { level: 9, mtime: 0 });
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/**
 * The report as an HTML document.
 *
 * @throws {InputError} no inspection, or `before` has no layer in common with it
 */
export async function inspectionHtml(inspection: Inspection, options: ReportOptions = {}): Promise<string> {
  check('inspectionHtml', { inspection: anInspection, options: reportArguments }, { inspection, options });
  const data = await reportData(inspection, options);
  const { default: script } = await import('./build/report-script.ts');
  // A name in the model must not end the script element that it stands in.
  const json = JSON.stringify(data).replace(/</g, '\\u003c');
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<meta charset="utf-8" />',
    '<meta name="viewport" content="width=device-width, initial-scale=1" />',
    `<title>${escaped(inspection.model.name || 'model')}: Octet inspection</title>`,
    `<style>body { margin: 0 }${reportStyle}</style>`,
    '<div id="report"></div>',
    `<script id="data" type="application/json">${json}</script>`,
    `<script type="module">${script.replace(/<\/script/gi, '<\\/script')}</script>`,
    '</html>',
    '',
  ].join('\n');
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
