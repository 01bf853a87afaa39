/** How the driver talks to an engine: to its page, or to its process. */
import type { Browser } from 'playwright';
import type { ComputeLimit, Contender } from './contenders/contender.ts';
import type { BenchNetwork } from './bench-networks.ts';
import type { LoadMeasurement } from './page/contender.ts';
import type { Served } from './serve.ts';

export interface Connection {
  readonly load: LoadMeasurement;
  /** One call, timed by the engine's side: from pixels to logits. */
  run(pixels: Uint8Array, batch: number): Promise<{ ms: number; logits: number[] }>;
  gpu(pixels: Uint8Array, batch: number): Promise<{ gpuMs: number | null; peakBytes: number | null }>;
  /** What the engine's process has grown by at its highest since before it read the model; null for a page, which shares its browser's. */
  memory(): Promise<number | null>;
  limit(batches: readonly number[]): Promise<ComputeLimit | null>;
  close(): Promise<void>;
}

function base64(pixels: Uint8Array): string {
  return Buffer.from(pixels.buffer, pixels.byteOffset, pixels.byteLength).toString('base64');
}

/** Loads an engine in a page of its own. */
export async function openPage(
  browser: Browser,
  served: Served,
  contender: Contender,
  network: BenchNetwork,
): Promise<Connection> {
  const page = await browser.newPage();
  try {
    await page.goto(`${served.url}contender.html`);
    await page.waitForFunction(() => 'contenderPage' in globalThis);
    const load = await page.evaluate(
      ([row, url, preprocessing, side]) => globalThis.contenderPage.load(row, url, preprocessing, side),
      [contender, network.urlOf(contender), network.preprocessing, network.side] as const,
    );
    return {
      load,
      run: (pixels, batch) =>
        page.evaluate(([data, count]) => globalThis.contenderPage.run(data, count), [
          base64(pixels),
          batch,
        ] as const),
      gpu: (pixels, batch) =>
        page.evaluate(([data, count]) => globalThis.contenderPage.gpu(data, count), [
          base64(pixels),
          batch,
        ] as const),
      memory: () => Promise.resolve(null),
      limit: (batches) => page.evaluate((sizes) => globalThis.contenderPage.limit(sizes), batches),
      close: () => page.close(),
    };
  } catch (error) {
    await page.close();
    throw error;
  }
}
