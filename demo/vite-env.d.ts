/// <reference types="vite/client" />
declare module '*.onnx' {
  const url: string;
  export default url;
}
