/**
 * dist/browser: each entry of the package as a file for `<script type="module">`, beside what they share.
 * dist/cdn (`--mode cdn`): the main entry as one file, whose address may be any.
 */
import { defaultClientConditions, defineConfig } from 'vite';

export default defineConfig(({ mode }) => {
  const cdn = mode === 'cdn';
  return {
    base: './',
    publicDir: false,
    resolve: { conditions: ['octet:source', ...defaultClientConditions] },
    define: { 'process.env.NODE_ENV': '"production"' },
    build: {
      outDir: cdn ? 'dist/cdn' : 'dist/browser',
      emptyOutDir: true,
      target: 'es2022',
      modulePreload: false,
      rolldownOptions: {
        input: cdn
          ? { octet: 'src/index.ts' }
          : {
              octet: 'src/index.ts',
              quantize: 'src/index-quantize.ts',
              vision: 'src/index-vision.ts',
              inspect: 'src/index-inspect.ts',
              extend: 'src/index-extend.ts',
            },
        preserveEntrySignatures: 'strict',
        // An optional peer, for quantizing in the page: an import map says where it is.
        external: ['onnxruntime-web/wasm'],
        output: { entryFileNames: '[name].js', codeSplitting: !cdn },
      },
    },
  };
});
