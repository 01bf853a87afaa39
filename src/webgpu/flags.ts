/**
 * WebGPU's flag constants (WebGPU §5.1.2, §5.2.1, §8.1.1). Browsers have them as globals; in Node they would have to be put
 * there, and a library puts nothing in the global object.
 */
export const bufferUsage = {
  mapRead: 0x0001,
  copySrc: 0x0004,
  copyDst: 0x0008,
  storage: 0x0080,
  queryResolve: 0x0200,
} as const;

export const mapModeRead = 0x0001;

export const shaderStageCompute = 0x4;
