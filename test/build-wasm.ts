/** Vitest's global setup: the WebAssembly modules that the tests load are those of the sources. */
export { buildWasm as setup } from '../scripts/build-wasm.ts';
