/**
 * Builds src/wasm/build/: the kernels as WebAssembly from src/wasm/assembly/, and the worker that runs them, each as a module that exports
 * its text. Bundlers differ in what they do with a file that a script names, and agree on modules.
 */
import { cp, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';
import { build } from 'vite';
import { buildReport } from './build-report.ts';
import {
  CONVOLUTION_MODES,
  EPILOGUE_SCALINGS,
  PARAMETER_BLOCKS,
  REDUCE_FINISHES,
  REDUCE_FUNCTIONS,
  RECORD_OFFSETS,
  RECORD_WORDS,
} from '../src/ops/wasm-parameters.ts';

const path = (relative: string) => fileURLToPath(new URL(`../${relative}`, import.meta.url));
const ASSEMBLY = 'src/wasm/assembly';
const OUT = 'src/wasm/build';
/** 4 GiB: the most that a shared memory may be given (src/wasm/memory.ts). */
const MAX_PAGES = 65536;
/** All files together, of which a page loads one. */
const BUDGET_BYTES = 135_000;

/** A module imports either shared or unshared memory: one of each, with and without relaxed SIMD. Host stages have a module to themselves. */
const MODULES = [
  { name: 'float', entry: 'float.ts', features: ['simd'], shared: false },
  { name: 'simd', entry: 'index.ts', features: ['simd'], shared: false },
  { name: 'simd-threads', entry: 'index.ts', features: ['simd'], shared: true },
  { name: 'relaxed', entry: 'index-relaxed.ts', features: ['simd', 'relaxed-simd'], shared: false },
  { name: 'relaxed-threads', entry: 'index-relaxed.ts', features: ['simd', 'relaxed-simd'], shared: true },
];

async function compile({ name, entry, features, shared }: (typeof MODULES)[number]): Promise<number> {
  const out = path(`${OUT}/${name}.wasm`);
  const threads = shared ? ['--enable', 'threads', '--sharedMemory', '--maximumMemory', `${MAX_PAGES}`] : [];
  const stderr = asc.createMemoryStream();
  const options = [
    path(`${ASSEMBLY}/${entry}`),
    ...['--outFile', out],
    ...features.flatMap((feature) => ['--enable', feature]),
    ...threads,
    // Kernels allocate nothing and touch no memory but what they are given.
    ...['--runtime', 'stub', '--importMemory', '--noExportMemory', '--use', 'abort='],
    ...['-O3', '--noAssert', '--converge'],
  ];
  const { error } = await asc.main(options, { stderr });
  if (error) throw new Error(`${entry}: ${error.message}\n${stderr.toString()}`);
  const bytes = await readFile(out);
  await writeText(name, `${entry}, compiled, in base64`, bytes.toString('base64'));
  return bytes.length;
}

async function writeText(name: string, what: string, text: string): Promise<void> {
  const lines = [
    `/** ${what}. Made by scripts/build-wasm.ts. */`,
    `export default ${JSON.stringify(text)};`,
    '',
  ];
  await writeFile(path(`${OUT}/${name}.ts`), lines.join('\n'));
}

/** The AssemblyScript that reads what src/ops/wasm-parameters.ts describes. */
function parametersSource(): string {
  const classes = Object.entries<{ extends?: string; fields: readonly string[] }>(PARAMETER_BLOCKS).map(
    ([name, block]) => `// @ts-ignore: decorator
@unmanaged
export class ${name}${block.extends ? ` extends ${block.extends}` : ''} {
${block.fields.map((field) => `  ${field}: i32;`).join('\n')}
}`,
  );
  const numbered = (prefix: string, names: readonly string[]) =>
    names.map((name, i) => `export const ${prefix}_${name.toUpperCase()} = ${i};`);
  const offsets = Object.entries(RECORD_OFFSETS).map(
    ([part, word]) => `export const RECORD_${part.toUpperCase()}: usize = ${4 * word};`,
  );
  const parts = ['// Made by scripts/build-wasm.ts from src/ops/wasm-parameters.ts.', ...classes];
  return [
    ...parts,
    ...numbered('MODE', CONVOLUTION_MODES),
    ...numbered('SCALING', EPILOGUE_SCALINGS),
    ...numbered('REDUCE', REDUCE_FUNCTIONS),
    ...numbered('FINISH', REDUCE_FINISHES),
    `export const RECORD: usize = ${4 * RECORD_WORDS};`,
    ...offsets,
    '',
  ].join('\n');
}

/** Everything that the outputs are made from. */
async function sources(): Promise<string[]> {
  const assembly = await readdir(path(ASSEMBLY));
  return [
    'scripts/build-wasm.ts',
    'src/ops/wasm-parameters.ts',
    'src/wasm/execute.ts',
    'src/wasm/worker.ts',
    ...assembly.map((file) => `${ASSEMBLY}/${file}`),
  ];
}

async function isFresh(): Promise<boolean> {
  const modified = async (file: string) => (await stat(path(file))).mtimeMs;
  const outputs = [...MODULES.map(({ name }) => `${name}.ts`), 'worker-source.ts'];
  try {
    const oldest = Math.min(...(await Promise.all(outputs.map((file) => modified(`${OUT}/${file}`)))));
    const newest = Math.max(...(await Promise.all((await sources()).map(modified))));
    return newest <= oldest;
  } catch {
    // Something has not been built yet.
    return false;
  }
}

/** Builds what is older than its sources: all or nothing. */
export async function buildWasm(): Promise<void> {
  if (await isFresh()) return;
  await mkdir(path(OUT), { recursive: true });
  await writeFile(path(`${ASSEMBLY}/parameters.ts`), parametersSource());
  let total = 0;
  for (const module of MODULES) {
    const bytes = await compile(module);
    total += bytes;
    console.log(`${OUT}/${module.name}.wasm ${bytes} bytes`);
  }
  if (total > BUDGET_BYTES)
    throw new Error(`the modules are ${total} bytes together, more than ${BUDGET_BYTES}`);
  await build({
    configFile: false,
    logLevel: 'warn',
    build: {
      lib: { entry: path('src/wasm/worker.ts'), formats: ['es'], fileName: () => 'worker.js' },
      outDir: path(OUT),
      emptyOutDir: false,
      target: 'es2022',
    },
  });
  await writeText(
    'worker-source',
    'worker.ts as one script',
    await readFile(path(`${OUT}/worker.js`), 'utf8'),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await buildWasm();
  await buildReport();
  // `octetjs/worker`, for pages that may not start workers from memory.
  if (process.argv.includes('--dist')) await cp(path(`${OUT}/worker.js`), path('dist/worker.js'));
}
