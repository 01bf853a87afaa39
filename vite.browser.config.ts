/** dist/browser: each entry of the package as a file for `<script type="module">`, beside what they share and the WebAssembly that they load. */
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
      input: {
        octet: 'src/index.ts',
        quantize: 'src/index-quantize.ts',
        extend: 'src/index-extend.ts',
      },
      preserveEntrySignatures: 'strict',
      // An optional peer, for quantizing in the page: an import map says where it is.
      external: ['onnxruntime-web'],
      output: { entryFileNames: '[name].js' },
    },
  },
});
