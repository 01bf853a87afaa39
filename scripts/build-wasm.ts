/**
 * Builds src/wasm/build/: the kernels as WebAssembly from src/wasm/assembly/, and the worker that runs them. `npm run build` copies
 * the folder into dist/, since the compiled loader looks for it beside itself.
 */
import { cp, mkdir, readFile, stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';
import { build } from 'vite';

const path = (relative: string) => fileURLToPath(new URL(`../${relative}`, import.meta.url));
const OUT = 'src/wasm/build';
/** 4 GiB: the most that a shared memory may be given (src/wasm/memory.ts). */
const MAX_PAGES = 65536;
/** All four files together. */
const BUDGET_BYTES = 60_000;

/** A module imports either shared or unshared memory: one of each, with and without relaxed SIMD. */
const MODULES = [
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
    path(`src/wasm/assembly/${entry}`),
    ...['--outFile', out],
    ...features.flatMap((feature) => ['--enable', feature]),
    ...threads,
    // Kernels allocate nothing and touch no memory but what they are given.
    ...['--runtime', 'stub', '--importMemory', '--noExportMemory', '--use', 'abort='],
    ...['-O3', '--noAssert', '--converge'],
  ];
  const { error } = await asc.main(options, { stderr });
  if (error) throw new Error(`${entry}: ${error.message}\n${stderr.toString()}`);
  return (await stat(out)).size;
}

await mkdir(path(OUT), { recursive: true });
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
console.log(`${OUT}/worker.js ${(await readFile(path(`${OUT}/worker.js`))).length} bytes`);

if (process.argv.includes('--dist')) await cp(path(OUT), path(`dist/${OUT}`), { recursive: true });
