/** Builds src/inspect/build/: the script that inspection reports carry inside, as a module that exports its text. */
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const path = (relative: string) => fileURLToPath(new URL(`../${relative}`, import.meta.url));
const OUT = 'src/inspect/build';
/** Everything that the script is made from. */
const SOURCES = [
  'scripts/build-report.ts',
  ...['advice', 'cost', 'diff', 'text'].map((name) => `src/inspect/${name}.ts`),
  ...['data', 'details', 'dom', 'main', 'mount'].map((name) => `src/inspect/page/${name}.ts`),
];

/** Builds where a source is newer. */
export async function buildReport(): Promise<void> {
  const modified = async (file: string) => (await stat(path(file))).mtimeMs;
  const made = await modified(`${OUT}/report-script.ts`).catch(() => 0);
  if ((await Promise.all(SOURCES.map(modified))).every((time) => time <= made)) return;
  await mkdir(path(OUT), { recursive: true });
  await build({
    configFile: false,
    logLevel: 'warn',
    build: {
      lib: { entry: path('src/inspect/page/main.ts'), formats: ['es'], fileName: () => 'report.js' },
      outDir: path(OUT),
      emptyOutDir: false,
      target: 'es2022',
    },
  });
  const script = await readFile(path(`${OUT}/report.js`), 'utf8');
  await writeFile(
    path(`${OUT}/report-script.ts`),
    `/** page/main.ts as one script. Made by scripts/build-report.ts. */\nexport default ${JSON.stringify(script)};\n`,
  );
}
