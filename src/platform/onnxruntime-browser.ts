/**
 * The build of the optional peer `onnxruntime-web` that computes on a page's CPU. Not its main entry, which brings WebGPU along and needs
 * a policy with 'unsafe-eval'.
 */
export const importOnnxRuntime = () => import('onnxruntime-web/wasm');
