/** The page that runs the suites: the test calls `runSuite` in it. */
import { suites, type SuiteName } from '../suites/index.ts';
import type { SuiteReport } from '../suites/suite.ts';

declare global {
  interface Window {
    runSuite(name: SuiteName): Promise<SuiteReport>;
  }
}

window.runSuite = (name) =>
  suites[name]({
    async read(path) {
      const response = await fetch(`/${path}`);
      if (!response.ok) throw new Error(`${path}: the server answered ${response.status}`);
      return new Uint8Array(await response.arrayBuffer());
    },
  });
