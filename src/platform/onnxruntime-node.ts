/** The build of the optional peer `onnxruntime-web` that computes on Node's CPU. */
export const importOnnxRuntime = () => import('onnxruntime-web');
