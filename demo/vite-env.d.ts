/// <reference types="vite/client" />
declare module '*.onnx' {
  const url: string;
  export default url;
}
declare module '*.gz' {
  const url: string;
  export default url;
}
/* What scripts/site-files.ts makes, read by the build (vite.config.ts). */
declare module 'virtual:site/first-picture' {
  /** Position in the test sheet, and uint8 RGB in base64. */
  const picture: { readonly index: number; readonly rgb: string };
  export default picture;
}
declare module 'virtual:site/results' {
  // eslint-disable-next-line @typescript-eslint/consistent-type-imports -- an ambient module imports nothing by path
  const results: Readonly<Record<string, import('../scripts/site-files.ts').SavedResult | undefined>>;
  export default results;
}
declare module 'virtual:site/bytes' {
  /** Sizes of downloads: models by id, float ones with `-float` behind it, and ONNX Runtime's. */
  const bytes: Readonly<Record<string, number>>;
  export default bytes;
}
