/** Vitest's global setup: the WebAssembly modules and the script of reports that the tests load are those of the sources. */
import { buildReport } from '../scripts/build-report.ts';
import { buildWasm } from '../scripts/build-wasm.ts';

export async function setup(): Promise<void> {
  await buildWasm();
  await buildReport();
}
