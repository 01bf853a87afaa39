/** What each iframe of the benchmark runs: the same page as `npm run bench`. */
import { createPage, siteEngines } from '../../bench/page/contender.ts';

// Named, since the package is free of side effects and the build would drop an import of nothing.
globalThis.contenderPage = createPage(siteEngines);
