/** A headless Firefox through WebDriver BiDi: the one that is installed, since Playwright knows only a build of its own. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { launch, type Browser } from 'puppeteer-core';

const names = ['firefox-esr', 'firefox'];

/** `OCTET_FIREFOX`, else the first on the PATH. */
function findFirefox(): string | undefined {
  if (process.env.OCTET_FIREFOX) return process.env.OCTET_FIREFOX;
  const files = (process.env.PATH ?? '')
    .split(delimiter)
    .flatMap((folder) => names.map((name) => join(folder, name)));
  return files.find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** @throws Error where there is no Firefox: says how to get one */
export async function launchFirefox(): Promise<Browser> {
  const executablePath = findFirefox();
  if (executablePath === undefined) {
    throw new Error('no Firefox: install one (apt-get install firefox-esr), or name it in OCTET_FIREFOX');
  }
  return launch({ browser: 'firefox', executablePath, headless: true, protocolTimeout: 300_000 });
}
