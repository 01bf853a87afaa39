/**
 * HAProxy in front of two replicas; one is killed under load, and later started again. Every answer is compared with the library's own.
 *
 *   npx tsx --conditions=octet:source examples/haproxy/kill-test.ts model.int8.onnx [--seconds 20]
 *
 * needs HAProxy (Debian: apt-get install haproxy). Ends with exit code 1 where an answer was wrong, or one was lost.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { loadFixedModel } from '../../src/index.ts';

const CLIENTS = 16;
const PICTURES = 32;
const TRIES = 5;
const root = path.resolve(import.meta.dirname, '../..');

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string', default: '20' } },
});
const [file] = positionals;
const began = performance.now();
const log = (text: string): void =>
  console.log(`${((performance.now() - began) / 1000).toFixed(2)} s  ${text}`);

interface Question {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly headers: Readonly<Record<string, string>>;
  readonly digest: string;
}

/** Requests with the digest that the library gives. */
async function makeQuestions(): Promise<Question[]> {
  using model = await loadFixedModel(file, { backend: 'wasm' });
  const [{ name, shape, height, width, channels }] = model.inputs;
  const questions: Question[] = [];
  for (let picture = 0; picture < PICTURES; picture++) {
    const values = Int8Array.from(
      { length: channels * height * width },
      (_, i) => ((i * (picture + 3)) % 251) - 125,
    );
    const { outputs } = await model.run({ [name]: values }, { integers: true });
    const hash = createHash('sha256');
    for (const output of model.outputs) hash.update(outputs[output.name].integers!);
    const input = {
      name,
      datatype: 'INT8',
      shape: [1, ...shape.slice(1)],
      parameters: { binary_data_size: values.length },
    };
    const header = Buffer.from(JSON.stringify({ inputs: [input] }));
    questions.push({
      body: new Uint8Array([...header, ...new Uint8Array(values.buffer)]),
      headers: { 'inference-header-content-length': String(header.length) },
      digest: hash.digest('hex'),
    });
  }
  return questions;
}

function startReplica(port: number): ChildProcess {
  const main = path.join(root, 'src/cli/main.ts');
  const options = ['--port', String(port), '--threads', '1', '--log-level', 'warn', '--drain', '1000'];
  return spawn(
    process.execPath,
    ['--import', 'tsx', '--conditions=octet:source', main, 'serve', `model=${file}`, ...options],
    { stdio: ['ignore', 'inherit', 'ignore'] },
  );
}

async function untilReady(port: number): Promise<void> {
  for (;;) {
    const ready = await fetch(`http://127.0.0.1:${port}/v2/health/ready`).catch(() => undefined);
    if (ready?.ok) return;
    await sleep(200);
  }
}

const counts = { answered: 0, wrong: 0, lost: 0, triedAgain: 0 };
const statuses = new Map<string, number>();

async function ask({ body, headers, digest }: Question): Promise<void> {
  for (let attempt = 1; attempt <= TRIES; attempt++) {
    let status: string;
    try {
      const response = await fetch('http://127.0.0.1:8000/v2/models/model/infer', {
        method: 'POST',
        body,
        headers,
      });
      await response.arrayBuffer();
      status = String(response.status);
      if (response.ok) {
        counts.answered++;
        if (response.headers.get('x-octet-digest') !== digest) counts.wrong++;
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        return;
      }
    } catch {
      status = 'connection lost';
    }
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    counts.triedAgain++;
    await sleep(200 * attempt);
  }
  counts.lost++;
}

const questions = await makeQuestions();
const haproxy = spawn('haproxy', ['-f', path.join(import.meta.dirname, 'haproxy.cfg')], { stdio: 'ignore' });
const replicas = [startReplica(8001), startReplica(8002)];
let ended = false;
try {
  await Promise.all([8001, 8002, 8000].map(untilReady));
  log('two replicas are ready behind HAProxy');
  const clients = Array.from({ length: CLIENTS }, async (_, client) => {
    for (let i = client; !ended; i += 7) await ask(questions[i % PICTURES]);
  });
  const third = (Number(values.seconds) * 1000) / 3;
  await sleep(third);
  log(`${counts.answered} answers; replica one is killed (SIGKILL) under load`);
  replicas[0].kill('SIGKILL');
  await sleep(third);
  log(`${counts.answered} answers; replica one is started again, then two is asked to end (SIGTERM)`);
  replicas.push(startReplica(8001));
  await untilReady(8001);
  await sleep(1000);
  replicas[1].kill('SIGTERM');
  const [code] = (await once(replicas[1], 'exit')) as [number | null];
  log(`replica two has ended with code ${String(code)}`);
  await sleep(third);
  ended = true;
  await Promise.all(clients);
  log(
    `${counts.answered} answers, ${counts.wrong} wrong, ${counts.lost} lost; ${counts.triedAgain} tries again by clients`,
  );
  log(`what clients saw: ${[...statuses].map(([status, count]) => `${status}: ${count}`).join(', ')}`);
  if (counts.wrong + counts.lost > 0 || code !== 0) process.exitCode = 1;
} finally {
  for (const child of [...replicas, haproxy]) child.kill('SIGKILL');
}
