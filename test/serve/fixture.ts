/** Small quantized models and servers for them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeModel } from '../../src/onnx/encode.ts';
import { quantize } from '../../src/quantize/quantize.ts';
import { type Server, type ServerOptions, startServer } from '../../src/serve/server.ts';
import { convNet } from '../support/onnx-models.ts';
import { createRandom } from '../support/random.ts';

// What Vitest's own processes are started with does not run TypeScript in those that they start.
process.execArgv.push('--import', 'tsx', '--conditions=octet:source');

const METADATA = new Map([
  ['labels', 'airplane,automobile,bird,cat,deer,dog,frog,horse,ship,truck'],
  ['mean', '0.5,0.5,0.5'],
  ['std', '0.25,0.25,0.25'],
]);

/** `count` pictures of the model's input, [count, 3, 12, 12]. */
export function randomReals(seed: number, count: number): Float32Array {
  const random = createRandom(seed);
  return Float32Array.from({ length: count * 432 }, () => random.int(-200, 200) / 100);
}

export interface Folder {
  path(name: string): string;
  /** Writes a classifier of 12×12 pictures. */
  writeModel(name: string, seed: number, metadata?: ReadonlyMap<string, string>): Promise<string>;
  remove(): void;
}

export function makeFolder(): Folder {
  const folder = mkdtempSync(join(tmpdir(), 'octet-serve-'));
  const path = (name: string) => join(folder, name);
  return {
    path,
    async writeModel(name, seed, metadata = METADATA) {
      const batches = [{ data: randomReals(seed, 8), shape: [8, 3, 12, 12] }];
      const { graph } = await quantize({ ...convNet(seed), metadata }, batches);
      writeFileSync(path(name), encodeModel(graph));
      return path(name);
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export const DEFAULTS: Omit<ServerOptions, 'files'> = {
  host: '127.0.0.1',
  port: 0,
  load: { backend: 'wasm', threads: 1 },
  processes: 1,
  batch: 8,
  waitMs: 1,
  queue: 64,
  maxBodyBytes: 1e6,
  maxBufferedBytes: 4e6,
  maxPixels: 1e6,
  maxConnections: 100,
  timeoutMs: 20_000,
  drainMs: 0,
  logLevel: 'silent',
};

export const serve = (options: Partial<ServerOptions> & Pick<ServerOptions, 'files'>): Promise<Server> =>
  startServer({ ...DEFAULTS, ...options });

/** A binary body of the protocol: its JSON header, then tensors. */
export function binaryBody(header: object, ...tensors: readonly Uint8Array[]) {
  const text = Buffer.from(JSON.stringify(header));
  return {
    body: Buffer.concat([text, ...tensors]),
    headers: { 'inference-header-content-length': String(text.length) },
  };
}

export const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);
