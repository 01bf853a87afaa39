import type { Plugin } from 'vite';

const TEST = /typeof _scriptDir\s*!==\s*"undefined"\s*&&\s*_scriptDir/g;

/**
 * For builds that hold TensorFlow.js's WebAssembly backend. Its threads are started from the text of a function that asks `typeof
 * _scriptDir` of a variable outside of it. A minifier that sees the variable drops the `typeof`; in the threads, where it is missing,
 * that throws, and the backend waits for them for ever. The variable is only of use in Node.
 */
export function tensorflowThreads(): Plugin {
  return {
    name: 'tensorflow-threads',
    transform(code, id) {
      if (!id.endsWith('tfjs-backend-wasm-threaded-simd.js')) return null;
      if (code.match(TEST)?.length !== 1)
        throw new Error(`${id} has changed: does it still need this plugin?`);
      return { code: code.replace(TEST, 'false'), map: null };
    },
  };
}
