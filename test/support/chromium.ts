/** A headless Chromium with WebGPU, through Playwright: the machine's own where there is one. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Browser, chromium } from 'playwright';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** `OCTET_CHROMIUM`, else the first on the PATH; undefined leaves it to Playwright's own download. */
export function findChromium(): string | undefined {
  if (process.env.OCTET_CHROMIUM) return process.env.OCTET_CHROMIUM;
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    for (const name of names) {
      const file = join(folder, name);
      try {
        accessSync(file, constants.X_OK);
        return file;
      } catch {
        // Not here.
      }
    }
  }
  return undefined;
}

/** What Chromium needs for WebGPU without a screen; its own software adapter, so that results need no driver. */
export const webgpuFlags = [
  '--enable-unsafe-webgpu',
  `--use-webgpu-adapter=${process.env.OCTET_WEBGPU_ADAPTER ?? 'swiftshader'}`,
];

/** Keeps it from calling home, and lets it run as root in containers. */
const quietFlags = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** @throws Error where there is no Chromium: says how to get one */
export async function launchChromium(flags: readonly string[] = webgpuFlags): Promise<Browser> {
  const executablePath = findChromium();
  try {
    return await chromium.launch({
      ...(executablePath !== undefined && { executablePath }),
      args: [...quietFlags, ...flags],
    });
  } catch (cause) {
    throw new Error(
      `no Chromium could be started (${executablePath ?? "Playwright's own"}): install one (apt-get install chromium, or npx playwright ` +
        'install chromium), or name it in OCTET_CHROMIUM',
      { cause },
    );
  }
}
