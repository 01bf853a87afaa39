import { recall, remember } from './browser-memory.ts';
import { fetchBytes } from './fetch.ts';
import { neighbourUrl } from './neighbours.ts';
import type { Platform } from './platform.ts';

export const platform: Platform = {
  async decodePixels(bytes) {
    const bitmap = await createImageBitmap(new Blob([bytes as Uint8Array<ArrayBuffer>]), {
      colorSpaceConversion: 'none',
    });
    try {
      const { width, height } = bitmap;
      const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true })!;
      // An opaque black ground, so that transparency is blended as it is in Node.
      context.fillRect(0, 0, width, height);
      context.drawImage(bitmap, 0, 0);
      const rgba = context.getImageData(0, 0, width, height).data;
      const data = new Uint8Array(width * height * 3);
      for (let from = 0, to = 0; from < rgba.length; from += 4) {
        data[to++] = rgba[from]!;
        data[to++] = rgba[from + 1]!;
        data[to++] = rgba[from + 2]!;
      }
      return { width, height, data };
    } finally {
      bitmap.close();
    }
  },

  readFile: fetchBytes,
  readNeighbour: (model, location, options) =>
    // A Request resolves a relative address as fetch does.
    fetchBytes(neighbourUrl(new Request(model).url, location), options),

  gpu: () =>
    Promise.resolve(typeof navigator === 'undefined' ? null : ((navigator as { gpu?: GPU }).gpu ?? null)),

  gpuAdvice:
    'Use a browser with WebGPU switched on (Chrome or Edge 113, Safari 26, Firefox 141 or newer; chrome://gpu says what it thinks of this ' +
    "machine) and a page served over https or from localhost; or load the model with backend 'wasm', which needs no GPU.",

  recall,
  remember,

  get cores() {
    return navigator.hardwareConcurrency || 1;
  },
  get sharesMemory() {
    return globalThis.crossOriginIsolated;
  },
  startWorker(source, url) {
    if (url) return new Worker(url, { type: 'module' });
    const address = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
    try {
      return new Worker(address, { type: 'module' });
    } finally {
      // The fetch of the script is already under way, by the address as it was.
      URL.revokeObjectURL(address);
    }
  },
};
