/**
 * `npm run pack:gpu-host`: one folder and tarball that a bare Linux machine with a GPU, its driver and Node runs as it is
 * (`./run.sh`): bench/gpu-host.ts in one file, Dawn, the int8 model, pictures and the reference's bytes.
 */
import { execFileSync } from 'node:child_process';
import { cp, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { create } from 'tar';
import { build } from 'vite';
import { loadModel } from '../src/index.ts';
import { loadNetwork } from './bench-networks.ts';
import { writeGolden } from './golden.ts';
import { flagship as int8Model } from '../scripts/quantize-flagship.ts';

const root = path.resolve(import.meta.dirname, '..');
const FOLDER = path.join(root, 'build/gpu-host');
/** Batches of 1, 3 and 8 divide it. */
const PICTURES = 24;
const BUDGET_BYTES = 60 * 2 ** 20;

const RUN = `#!/bin/sh
# Checks every tensor and kernel variant against the reference's bytes, then measures, and writes gpu-host.json here. Options:
#   --batches 1,64,256,1024  --repetitions 30  --pictures 24  --tune off|quick|full  --kernels full|quick|<pattern>
#   --layers <part of their names>  --output FILE  --allow-software
# Needs Node 20.19 or newer and a Vulkan driver (NVIDIA's comes with the graphics driver), and libvulkan.so.1.
exec node "$(dirname "$0")/gpu-host.js" "$@"
`;

async function version(packageFile: string): Promise<string> {
  return (JSON.parse(await readFile(path.join(root, packageFile), 'utf8')) as { version: string }).version;
}

async function bundle(folder: string): Promise<void> {
  const conditions = ['octet:source', 'node', 'module', 'import', 'default'];
  await build({
    configFile: false,
    root,
    publicDir: false,
    logLevel: 'warn',
    resolve: { conditions },
    ssr: {
      target: 'node',
      noExternal: true,
      // Dawn lies beside; pictures are decoded already, and nothing is quantized.
      external: ['webgpu', 'sharp', 'onnxruntime-web'],
      resolve: { conditions },
    },
    build: {
      ssr: path.join(root, 'bench/gpu-host.ts'),
      outDir: folder,
      emptyOutDir: false,
      target: 'es2022',
      minify: false,
      rolldownOptions: { output: { entryFileNames: 'gpu-host.js', codeSplitting: false } },
    },
  });
}

async function packDawn(folder: string): Promise<void> {
  const from = path.join(root, 'node_modules/webgpu');
  const to = path.join(folder, 'node_modules/webgpu');
  for (const file of ['package.json', 'index.js', 'LICENSE.md', 'dist/linux-x64'])
    await cp(path.join(from, file), path.join(to, file), { recursive: true });
}

/** Fills `folder`, emptied first, with all that run.sh needs. */
export async function packGpuHost(folder: string, pictureCount: number): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const flagship = await loadNetwork('vgg16', false);
  await bundle(folder);
  await packDawn(folder);
  await cp(int8Model, path.join(folder, path.basename(int8Model)));
  const manifest = {
    octet: await version('package.json'),
    commit: execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, encoding: 'utf8' }).trim(),
    webgpu: await version('node_modules/webgpu/package.json'),
  };
  await writeFile(path.join(folder, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  // Nothing in the bundle is CommonJS.
  await writeFile(path.join(folder, 'package.json'), '{ "type": "module", "private": true }\n');
  await writeFile(path.join(folder, 'run.sh'), RUN, { mode: 0o755 });
  using reference = await loadModel(int8Model, { backend: 'reference' });
  const pictures = Array.from({ length: pictureCount }, (_, i) => flagship.batchFrom(i, 1));
  await writeGolden(path.join(folder, 'golden'), reference, pictures);
}

if (process.argv[1] && import.meta.filename === path.resolve(process.argv[1])) {
  await packGpuHost(FOLDER, PICTURES);
  const tarball = `${FOLDER}.tar.gz`;
  await create({ gzip: true, file: tarball, cwd: path.dirname(FOLDER), portable: true }, [
    path.basename(FOLDER),
  ]);
  const { size } = await stat(tarball);
  console.log(`${tarball}: ${(size / 2 ** 20).toFixed(1)} MiB`);
  if (size > BUDGET_BYTES) throw new Error(`more than ${BUDGET_BYTES / 2 ** 20} MiB`);
}
