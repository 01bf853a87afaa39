/**
 * How long a visitor of the demo waits for the first answer, on a slow phone: 1.6 Mb/s, 150 ms to the first byte of each file, a CPU slowed
 * down four times. The line is the host's, not the browser's emulation of one, which workers go past.
 *
 * `npm run build:site`, then `npm run bench:page [-- runs]`.
 */
import { stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { median, quantile } from 'simple-statistics';
import type { Browser } from 'playwright';
import { launchChromium } from '../test/support/chromium.ts';
import { serveFolder } from '../test/support/static-server.ts';

const SLOW = { bytesPerSecond: 1.6e6 / 8, latencyMs: 150 };
const CPU_SLOWDOWN = 4;
const PHONE = { width: 390, height: 844 };

interface Load {
  /** Milliseconds from the navigation's start: something is seen; the first picture has its classes. */
  readonly painted: number;
  readonly answered: number;
}

async function load(browser: Browser, url: string): Promise<Load> {
  const context = await browser.newContext({ viewport: PHONE });
  const page = await context.newPage();
  const connection = await context.newCDPSession(page);
  await connection.send('Emulation.setCPUThrottlingRate', { rate: CPU_SLOWDOWN });
  await page.addInitScript(() => {
    new MutationObserver((_, observer) => {
      if (!document.querySelector('.verdict')) return;
      performance.mark('answered');
      observer.disconnect();
    }).observe(document, { childList: true, subtree: true });
  });
  await page.goto(url);
  await page.locator('.verdict').waitFor();
  const times = await page.evaluate(() => ({
    painted: performance.getEntriesByName('first-contentful-paint')[0].startTime,
    answered: performance.getEntriesByName('answered')[0].startTime,
  }));
  await context.close();
  return times;
}

const runs = Number(process.argv[2] ?? 7);
const folder = fileURLToPath(new URL('../build/site', import.meta.url));
await stat(`${folder}/index.html`).catch(() => {
  throw new Error('build/site is not there: npm run build:site');
});
const host = await serveFolder(folder, { isolated: true, line: SLOW });
// Without the flags that give it WebGPU, which slow phones lack too.
const browser = await launchChromium([]);
try {
  const loads: Load[] = [];
  for (let run = 0; run < runs; run++) loads.push(await load(browser, host.url));
  for (const name of ['painted', 'answered'] as const) {
    const times = loads.map((each) => each[name]);
    const [low, mid, high] = [quantile(times, 0.1), median(times), quantile(times, 0.9)];
    process.stdout.write(
      `${name} after ${(mid / 1000).toFixed(2)} s (10 % ${(low / 1000).toFixed(2)}, 90 % ${(high / 1000).toFixed(2)}; ${runs} runs)\n`,
    );
  }
} finally {
  await browser.close();
  await host.close();
}
