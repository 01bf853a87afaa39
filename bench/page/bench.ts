import { createPage, siteEngines } from './contender.ts';

globalThis.contenderPage = createPage({
  ...siteEngines,
  'litert.js': () => import('../contenders/litert.ts'),
});
