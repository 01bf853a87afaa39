/** The demo page: `vite` serves it from the sources, `vite build` writes a static site to build/site. */
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defaultClientConditions, defineConfig, type Plugin } from 'vite';
import { tensorflowThreads } from './bench/tensorflow-threads.ts';

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

/** Shared memory, and with it threads, is for isolated pages only. */
const isolation = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

const version = (folder: string): string =>
  (JSON.parse(readFileSync(path(`${folder}/package.json`), 'utf8')) as { version: string }).version;

const benchLibraries = Object.fromEntries(
  ['onnxruntime-web', '@tensorflow/tfjs-core'].map((name) => [name, version(`node_modules/${name}`)]),
);

/** Chunks that the page asks for only where a report or a golden pack is wanted have names of their own. */
const chunkFileNames = ({ moduleIds }: { readonly moduleIds: readonly string[] }): string => {
  const holds = (part: string) => moduleIds.some((id) => id.includes(part));
  const name = holds('wasm-graphviz') ? 'graphviz' : holds('/src/inspect/') ? 'inspect' : '[name]';
  return `assets/${name}-[hash].js`;
};

/**
 * Few files before the first answer: on a slow line a file after a file costs more than its bytes. Each group takes what it imports along,
 * but for what is in those before. What is imported on demand itself is in none: a group would need a file more to name its exports.
 */
const workerSplitting = {
  groups: [
    { name: 'start', test: /\/demo\/engine\/worker\.ts/, priority: 3 },
    { name: 'core', test: /\/src\/(model\/load|vision\/(decode|resize))\.ts/, priority: 2 },
    { name: 'wasm', test: /\/src\/wasm\/session\.ts/, priority: 1 },
  ],
};

/** Likewise, but for what the engines' frames of the benchmark have too. */
const pageSplitting = {
  groups: [
    { name: 'preload', test: /vite\/preload-helper/, priority: 2 },
    { name: 'page', test: /\/demo\/main\.tsx/, priority: 1 },
  ],
};

// The page has ONNX Runtime in a worker of its own; the library asks for it only where nobody brings it.
const checks = { ineffectiveDynamicImport: false, bundlerTimings: false };

const INFERENCE_WORKER = 'inference';

export default defineConfig({
  root: path('demo'),
  // Relative addresses: the site works from any folder of any host.
  base: './',
  publicDir: path('demo/public'),
  resolve: {
    conditions: ['octet:source', ...defaultClientConditions],
    alias: [
      { find: /^octetjs$/, replacement: path('src/index.ts') },
      { find: /^octetjs\/(\w+)$/, replacement: path('src/index-$1.ts') },
      // ONNX Runtime with its WebAssembly and its threads' script as files
      // of their own: a bundle of the package's has them inside.
      {
        find: /^onnxruntime-web\/wasm$/,
        replacement: path('node_modules/onnxruntime-web/dist/ort.wasm.min.mjs'),
      },
    ],
  },
  assetsInclude: ['**/*.onnx', '**/*.gz'],
  define: {
    __BENCH_VERSIONS__: { octet: version('.'), libraries: benchLibraries },
  },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  server: { headers: isolation, fs: { allow: [path('.')] } },
  preview: { headers: isolation },
  worker: {
    format: 'es',
    rolldownOptions: {
      checks,
      output: {
        chunkFileNames,
        codeSplitting: workerSplitting,
        entryFileNames: ({ facadeModuleId }) =>
          `assets/${(facadeModuleId ?? '').includes('demo/engine/') ? INFERENCE_WORKER : 'worker'}-[hash].js`,
      },
    },
  },
  optimizeDeps: { exclude: ['onnxruntime-web'] },
  build: {
    outDir: path('build/site'),
    emptyOutDir: true,
    // The model files are assets of their own, never inlined; small icons and fonts stay files too, so that they cache.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1000,
    rolldownOptions: {
      checks,
      input: {
        index: path('demo/index.html'),
        contender: path('demo/contender.html'),
        'service-worker': path('demo/service-worker.ts'),
      },
      output: {
        chunkFileNames,
        codeSplitting: pageSplitting,
        entryFileNames: ({ name }) => (name === 'service-worker' ? '[name].js' : 'assets/[name]-[hash].js'),
      },
    },
  },
  plugins: [
    siteFiles(),
    serviceWorkerManifest(),
    startEarly(),
    preloadFonts(),
    tensorflowThreads(),
    uncompressedPreview(),
  ],
});

/** Kept for offline use only once it has been asked for: all models but the first, what runs float ones, and the benchmark’s engines. */
const ON_DEMAND =
  /graphviz|inspect|ort[-.]|onnxruntime|tensorflow|tfjs|contender|\.onnx|\.gz|calibration-512/;
/** The picture that other sites show beside a link: no visitor of the page needs it. */
const CARD = 'card.jpg';
const FIRST_MODEL = /resnet20-w4\.onnx-[\w-]+\.gz$/;

/** Files whose sizes the page says before it fetches them, by the models' ids (demo/models.ts). */
const SIZED: Record<string, string> = {
  'resnet20-w4': '.cache/site/resnet20-w4.onnx.gz',
  resnet20: '.cache/site/resnet20.onnx.gz',
  'resnet20-float': 'models/resnet20-cifar10.onnx',
  'resnet20-w4a4': '.cache/site/resnet20-w4a4.onnx.gz',
  'resnet20-w2a2': '.cache/site/resnet20-w2a2.onnx.gz',
  mobilenetv2: '.cache/site/mobilenetv2.onnx.gz',
  'mobilenetv2-float': 'models/mobilenetv2-cifar10.onnx',
  'efficientnet-lite0': 'models/efficientnet-lite0.int8.onnx',
  vgg16: '.cache/site/vgg16.onnx.gz',
  'vgg16-float': 'models/vgg16-cifar10.onnx',
  onnxruntime: 'node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm',
};

/** What scripts/site-files.ts has made, as modules; a checkout is type-checked without. */
function siteFiles(): Plugin {
  const prefix = 'virtual:site/';
  const modules: Record<string, () => string> = {
    'first-picture': () => readFileSync(path('.cache/site/first-picture.json'), 'utf8'),
    results: () => readFileSync(path('.cache/site/results.json'), 'utf8'),
    bytes: () =>
      JSON.stringify(
        Object.fromEntries(Object.entries(SIZED).map(([id, file]) => [id, statSync(path(file)).size])),
      ),
  };
  return {
    name: 'site-files',
    resolveId: (id) => (id.startsWith(prefix) ? `\0${id}` : null),
    load: (id) => {
      const json = modules[id.replace(`\0${prefix}`, '')];
      return json ? `export default ${json()};` : null;
    },
  };
}

/** Models hardly compress, and a compressed download has no known length: `npm run preview` sends files as they are. */
function uncompressedPreview(): Plugin {
  return {
    name: 'uncompressed-preview',
    configurePreviewServer(server) {
      server.middlewares.use((request, _response, next) => {
        delete request.headers['accept-encoding'];
        next();
      });
    },
  };
}

/** Starts the inference worker and the first download from the document itself, a round trip before its first script is there (demo/start.ts). */
function startEarly(): Plugin {
  return {
    name: 'start-early',
    apply: 'build',
    transformIndexHtml: {
      order: 'post',
      handler(_html, { bundle, filename }) {
        if (!filename.endsWith('index.html')) return [];
        const file = (name: RegExp) =>
          JSON.stringify(Object.keys(bundle ?? {}).find((each) => name.test(each)));
        const worker = file(new RegExp(`/${INFERENCE_WORKER}-`));
        const children = `
          {const worker = new Worker(${worker}, { type: 'module', name: 'octet' });
          const stopped = new Promise((resolve) => worker.addEventListener('error', resolve, { once: true }));
          const download = /[?&](model|open)=/.test(location.search) ? null : fetch(${file(FIRST_MODEL)}, { priority: 'low' });
          download?.catch(() => undefined);
          window.started = { worker, stopped, download };}
        `.replace(/\n\s+/g, '');
        return [{ tag: 'script', children, injectTo: 'head-prepend' as const }];
      },
    },
  };
}

/** The page is drawn once, in its own typeface: `font-display: optional` waits a moment for one that is on its way. */
function preloadFonts(): Plugin {
  return {
    name: 'preload-fonts',
    apply: 'build',
    transformIndexHtml: {
      order: 'post',
      handler(_html, { bundle, filename }) {
        if (!filename.endsWith('index.html')) return [];
        return Object.keys(bundle ?? {})
          .filter((file) => file.endsWith('.woff2'))
          .map((file) => ({
            tag: 'link',
            attrs: { rel: 'preload', href: `./${file}`, as: 'font', type: 'font/woff2', crossorigin: '' },
            injectTo: 'head' as const,
          }));
      },
    },
  };
}

/** Tells the service worker which files the build made (it keeps them for offline use) and names that set by its content. */
function serviceWorkerManifest(): Plugin {
  return {
    name: 'service-worker-manifest',
    apply: 'build',
    enforce: 'post',
    generateBundle(_options, bundle) {
      const worker = bundle['service-worker.js'];
      if (worker?.type !== 'chunk') return;
      const files = Object.keys(bundle)
        .filter((file) => file !== worker.fileName && (!ON_DEMAND.test(file) || FIRST_MODEL.test(file)))
        .map((file) => (file === 'index.html' ? './' : file))
        .concat(readdirSync(path('demo/public')).filter((file) => file !== CARD))
        .sort();
      const version = createHash('sha256').update(files.join()).digest('hex').slice(0, 16);
      worker.code = worker.code
        .replace('__PRECACHE_FILES__', JSON.stringify(files))
        .replace('__PRECACHE_VERSION__', JSON.stringify(version));
    },
  };
}
