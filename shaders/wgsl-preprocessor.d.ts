declare module 'wgsl-preprocessor/wgsl-preprocessor.js' {
  /** Template tag: resolves `#if ${condition}`, `#elif ${condition}`, `#else`, `#endif`; other values are pasted as text. */
  export function wgsl(
    strings: TemplateStringsArray,
    ...values: readonly (string | number | boolean)[]
  ): string;
}
