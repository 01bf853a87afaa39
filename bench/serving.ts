/**
 * `octet serve` under load: answers a second and latency at several concurrencies, and CPU time a picture beside that of direct calls of
 * the library at batch 8. Load and server share the machine; CPU time is of the server and its processes alone.
 *
 *   npx tsx --conditions=octet:source bench/serving.ts model.int8.onnx [--concurrency 1,8,64] [--seconds 10] [--threads 1]
 *   npx tsx --conditions=octet:source bench/serving.ts model.int8.onnx --memory 100000
 *   npx tsx --conditions=octet:source bench/serving.ts model.int8.onnx --pixels    # UINT8 in place of FP32
 *
 * `--memory` sends so many requests and prints resident memory on the way. Linux only: it reads /proc. `--ort` serves the same file with
 * onnxruntime-node (npm install --no-save --ignore-scripts onnxruntime-node, whose scripts only fetch GPU libraries).
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import autocannon from 'autocannon';
import Table from 'cli-table3';
import { loadFixedModel } from '../src/index.ts';
import { startServer } from '../src/serve/server.ts';

const BATCH = 8;
/** How long direct calls are timed, and how many there are at least. */
const DIRECT_MS = 3000;
const LEAST_RUNS = 3;
/** Linux counts CPU time in hundredths of a second. */
const TICKS = 100;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    concurrency: { type: 'string', default: '1,8,64' },
    seconds: { type: 'string', default: '10' },
    threads: { type: 'string', default: '1' },
    memory: { type: 'string' },
    ort: { type: 'boolean', default: false },
    pixels: { type: 'boolean', default: false },
    serve: { type: 'boolean', default: false },
  },
});
const [file] = positionals;
const threads = Number(values.threads);

/** The server in a process of its own, so that its CPU time is its own. */
async function serve(): Promise<void> {
  const server = await startServer({
    files: [{ name: 'model', path: file }],
    host: '127.0.0.1',
    port: 0,
    load: { backend: 'wasm', threads },
    processes: 1,
    batch: BATCH,
    waitMs: 1,
    queue: 256,
    maxBodyBytes: 16e6,
    maxBufferedBytes: 256e6,
    maxPixels: 16e6,
    maxConnections: 1024,
    timeoutMs: 120_000,
    drainMs: 0,
    logLevel: 'warn',
    ...(values.ort && { module: new URL('./serving-ort.ts', import.meta.url) }),
  });
  process.send!({ url: server.url, processIds: [process.pid, ...server.models[0].pool.processIds] });
  process.on('disconnect', () => void server.close());
}

interface Started {
  readonly url: string;
  readonly processIds: readonly number[];
}

function cpuSeconds(processIds: readonly number[]): number {
  const ticks = processIds.map((id) => {
    // Fields after the name, which may have spaces: utime and stime are the 14th and 15th of all.
    const fields = readFileSync(`/proc/${id}/stat`, 'utf8').split(') ')[1].split(' ');
    return Number(fields[11]) + Number(fields[12]);
  });
  return ticks.reduce((sum, count) => sum + count, 0) / TICKS;
}

function residentMb(processIds: readonly number[]): string {
  const pages = processIds.map((id) => Number(readFileSync(`/proc/${id}/statm`, 'utf8').split(' ')[1]));
  return pages.map((count) => ((count * 4096) / 1e6).toFixed(0)).join(' + ');
}

async function measure(): Promise<void> {
  const child = fork(fileURLToPath(import.meta.url), [...process.argv.slice(2), '--serve']);
  const [{ url, processIds }] = (await once(child, 'message')) as [Started];
  const model = await loadFixedModel(file, { backend: 'wasm', threads, batches: [BATCH] });
  const [{ name, channels, height, width }] = model.inputs;
  const length = channels * height * width;
  const picture = values.pixels
    ? Uint8Array.from({ length }, (_, i) => (i * 37) & 255)
    : Float32Array.from({ length }, (_, i) => Math.sin(i));
  const input = {
    name,
    datatype: values.pixels ? 'UINT8' : 'FP32',
    shape: values.pixels ? [1, height, width, channels] : [1, channels, height, width],
    parameters: { binary_data_size: picture.byteLength },
  };
  const header = Buffer.from(JSON.stringify({ inputs: [input], parameters: { binary_data_output: true } }));
  const load = {
    url: `${url}/v2/models/model/infer`,
    method: 'POST' as const,
    headers: { 'inference-header-content-length': String(header.length) },
    body: Buffer.concat([header, new Uint8Array(picture.buffer)]),
    timeout: 120,
  };
  try {
    await autocannon({ ...load, connections: BATCH, amount: 20 * BATCH });
    if (values.memory) {
      console.log(`requests  resident MB: server + process`);
      const tenth = Number(values.memory) / 10;
      for (let part = 1; part <= 10; part++) {
        const { non2xx, errors } = await autocannon({ ...load, connections: 16, amount: tenth });
        console.log(`${part * tenth}  ${residentMb(processIds)}  (${non2xx + errors} not answered)`);
      }
      return;
    }
    const table = new Table({
      style: { head: [], border: [], compact: true },
      head: ['concurrency', 'answers/s', 'p50 ms', 'p99 ms', 'CPU ms/picture', 'direct, batch 8', 'share'],
    });
    const batch = values.pixels ? new Uint8Array(BATCH * length) : new Float32Array(BATCH * length);
    for (let i = 0; i < BATCH; i++) batch.set(picture, i * length);
    const run = { [name]: batch instanceof Uint8Array ? { pixels: batch } : batch };
    const direct = async (): Promise<number> => {
      const before = process.cpuUsage();
      const end = performance.now() + DIRECT_MS;
      let runs = 0;
      for (; runs < LEAST_RUNS || performance.now() < end; runs++) await model.run(run);
      const { user, system } = process.cpuUsage(before);
      return (user + system) / 1000 / runs / BATCH;
    };
    if (!values.ort) await direct();
    for (const connections of values.concurrency.split(',').map(Number)) {
      // Before and after, since a busy machine is not equally busy all the time.
      const before = await direct();
      const start = cpuSeconds(processIds);
      const result = await autocannon({ ...load, connections, duration: Number(values.seconds) });
      const cpu = ((cpuSeconds(processIds) - start) * 1000) / result['2xx'];
      const library = (before + (await direct())) / 2;
      if (result.non2xx + result.errors > 0)
        throw new Error(`${result.non2xx + result.errors} requests failed`);
      table.push([
        connections,
        result.requests.average.toFixed(1),
        result.latency.p50.toFixed(1),
        result.latency.p99.toFixed(1),
        cpu.toFixed(2),
        values.ort ? '' : library.toFixed(2),
        values.ort ? '' : `${((100 * library) / cpu).toFixed(0)} %`,
      ]);
    }
    console.log(table.toString());
  } finally {
    model.dispose();
    child.disconnect();
  }
}

await (values.serve ? serve() : measure());
