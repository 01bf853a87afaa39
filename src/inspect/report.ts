/** An inspection as one HTML file that needs nothing else: open it from a disk, send it, keep it with the model. */
import type { Inspection } from './inspect.ts';
import { type ReportData } from './page/mount.ts';
import { reportStyle } from './page/style.ts';
import { layOut, toDot } from './picture.ts';

/** What the page is made of: the graphs are laid out here, so that the page needs no Graphviz. */
async function reportData(inspection: Inspection): Promise<ReportData> {
  return {
    inspection,
    nodes: await layOut(toDot(inspection, 'nodes')),
    operations: inspection.operations.length > 0 ? await layOut(toDot(inspection, 'operations')) : null,
  };
}

/**
 * The report as an HTML document.
 *
 * @throws {InputError} no inspection
 */
export async function inspectionHtml(inspection: Inspection): Promise<string> {
  const data = await reportData(inspection);
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
