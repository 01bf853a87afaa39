/** dist/browser/octet.js: the package as one file for `<script type="module">`, beside the WebAssembly that it loads. */
import { defaultClientConditions, defineConfig } from 'vite';

export default defineConfig({
  base: './',
  publicDir: false,
  resolve: { conditions: ['octet:source', ...defaultClientConditions] },
  worker: { format: 'es' },
  build: {
    outDir: 'dist/browser',
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: false,
    // WebAssembly stays files: compiled while it streams, fetched only where it is used.
    assetsInlineLimit: 0,
    rolldownOptions: {
      input: { octet: 'src/index.ts' },
      preserveEntrySignatures: 'strict',
      // An optional peer, for quantizing in the page: an import map says where it is.
      external: ['onnxruntime-web'],
      output: { entryFileNames: '[name].js' },
    },
  },
});
