import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { InputError } from '../errors.ts';
import { fetchBytes } from './fetch.ts';
import { neighbourUrl } from './neighbours.ts';
import { describeFileError } from './node/file-error.ts';
import { readInFolderOf } from './node/folder.ts';
import { recall, remember } from './node/memory.ts';
import { gpu } from './node/gpu.ts';
import { decodePixels } from './node/pictures.ts';
import { NodeWorker } from './node/worker.ts';
import type { Platform } from './platform.ts';

function isRemote(location: string | URL): boolean {
  return /^https?:/.test(String(location));
}

function pathOf(location: string | URL): string {
  if (!String(location).startsWith('file:')) return String(location);
  try {
    return fileURLToPath(location);
  } catch (cause) {
    // A host, or an encoded slash.
    throw new InputError(`${String(location)} is no address of a file here: ${describeFileError(cause)}`, {
      cause,
    });
  }
}

export const platform: Platform = {
  decodePixels,

  async readFile(location, options) {
    if (isRemote(location)) return fetchBytes(location, options);
    try {
      return new Uint8Array(await readFile(pathOf(location)));
    } catch (cause) {
      throw new InputError(`cannot read ${location}: ${describeFileError(cause)}`, { cause });
    }
  },

  async readNeighbour(model, location, options) {
    if (isRemote(model)) return fetchBytes(neighbourUrl(model, location), options);
    return readInFolderOf(pathOf(model), location);
  },

  gpu,
  gpuAdvice:
    'In Node, WebGPU comes from the optional package webgpu (npm install webgpu) and a Vulkan, Metal or D3D12 driver. Without a GPU, a ' +
    'software driver will do: set VK_ICD_FILENAMES to its manifest (Chromium brings vk_swiftshader_icd.json, Mesa lvp_icd.*.json); ' +
    "or load the model with backend 'wasm', which needs none.",
  recall,
  remember,

  cores: availableParallelism(),
  sharesMemory: true,
  startWorker: (source, url) =>
    new NodeWorker(new URL(url ?? `data:text/javascript,${encodeURIComponent(source)}`)),
};
