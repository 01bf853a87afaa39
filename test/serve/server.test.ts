/** A running server and its clients: the protocol word by word, and what hostile callers get. */
import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadModel } from '../../src/model/load.ts';
import type { Model } from '../../src/model/model.ts';
import type { Server } from '../../src/serve/server.ts';
import { createRandom } from '../support/random.ts';
import { binaryBody, bytesOf, makeFolder, randomReals, serve } from './fixture.ts';

const folder = makeFolder();
const TOKEN = 'correct-horse-battery';
let server: Server;
let other: Server;
let model: Model;
let bare: Model;
/** SHA-256 of the model files. */
const hashes: string[] = [];
const png = async (width: number, height: number, seed = 3) => {
  const random = createRandom(seed);
  const pixels = Uint8Array.from({ length: width * height * 3 }, () => random.int(0, 255));
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
};

beforeAll(async () => {
  const files = [
    await folder.writeModel('net.int8.onnx', 5),
    await folder.writeModel('bare.onnx', 6, new Map()),
  ];
  for (const file of files) hashes.push(createHash('sha256').update(readFileSync(file)).digest('hex'));
  [server, other, model, bare] = await Promise.all([
    serve({
      files: [
        { name: 'net', path: files[1] },
        { name: 'net', path: files[0] },
      ],
    }),
    serve({ files: [{ name: 'net', path: files[0] }], token: TOKEN, queue: 6, timeoutMs: 2500, batch: 2 }),
    loadModel(files[0], { backend: 'reference' }),
    loadModel(files[1], { backend: 'reference' }),
  ]);
});

afterAll(async () => {
  model.dispose();
  bare.dispose();
  await Promise.all([server.close(), other.close()]);
  folder.remove();
});

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly json: Record<string, unknown>;
}

async function call(path: string, init: RequestInit = {}, base = server.url): Promise<Answer> {
  const response = await fetch(base + path, init);
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    json: JSON.parse(text) as Record<string, unknown>,
  };
}

const post = (path: string, body: BodyInit, headers: Record<string, string> = {}) =>
  call(path, { method: 'POST', body, headers });

interface Tensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

const inferJson = (inputs: readonly object[], rest: object = {}) =>
  post('/v2/models/net/infer', JSON.stringify({ inputs, ...rest }), { 'content-type': 'application/json' });

const outputOf = ({ json }: Answer) => (json.outputs as readonly Tensor[])[0];

async function expected(of: Model, input: Float32Array) {
  const { outputs } = await of.run({ input }, { integers: true });
  const { data, integers } = outputs.logits;
  const digest = createHash('sha256').update(bytesOf(integers!)).digest('hex');
  return { data: [...data], digest };
}

describe('descriptions', () => {
  test('health, server, models and versions', async () => {
    expect((await call('/v2/health/live')).status).toBe(200);
    expect((await call('/v2/health/ready')).status).toBe(200);
    expect((await call('/v2')).json).toMatchObject({
      name: 'octet',
      extensions: expect.arrayContaining(['binary_tensor_data']) as unknown,
    });
    const versions = [hashes[1].slice(0, 12), hashes[0].slice(0, 12)];
    expect((await call('/v2/models/net')).json).toEqual({
      name: 'net',
      versions,
      platform: 'octet_onnx',
      inputs: [{ name: 'input', datatype: 'FP32', shape: [-1, 3, 12, 12] }],
      outputs: [{ name: 'logits', datatype: 'FP32', shape: [-1, 10] }],
    });
    expect((await call(`/v2/models/net/versions/${versions[0]}/ready`)).status).toBe(200);
    const index = await call('/v2/repository/index', { method: 'POST' });
    expect(index.json).toMatchObject(versions.map((version) => ({ name: 'net', version, state: 'READY' })));
  });

  test('metrics count requests, batches and waiting pictures', async () => {
    await inferJson([
      { name: 'input', datatype: 'FP32', shape: [1, 3, 12, 12], data: [...randomReals(1, 1)] },
    ]);
    const text = await (await fetch(`${server.url}/metrics`)).text();
    expect(text).toMatch(
      /octet_requests_total\{route="\/v2\/models\/:name\/infer",model="net",code="200"\} [1-9]/,
    );
    expect(text).toMatch(/octet_batch_pictures_count\{model="net"\} [1-9]/);
    expect(text).toMatch(/octet_queue_pictures\{model="net"\} 0/);
    expect(text).toMatch(/octet_request_seconds_bucket/);
  });
});

describe('infer', () => {
  test('JSON flat and nested, binary in and out, and a body without a header: the library’s bits', async () => {
    const input = randomReals(2, 3);
    const truth = await expected(model, input);
    const flat = { name: 'input', datatype: 'FP32', shape: [3, 3, 12, 12], data: [...input] };
    const rows = Array.from({ length: 36 }, (_, row) => [...input.subarray(row * 36, (row + 1) * 36)]);
    const answers = [
      await inferJson([flat], { id: 'abc' }),
      await inferJson([{ ...flat, data: rows }], { id: 'abc', outputs: [{ name: 'logits' }] }),
    ];
    for (const answer of answers) {
      expect(answer.status).toBe(200);
      expect(answer.json).toMatchObject({
        model_name: 'net',
        model_version: hashes[0].slice(0, 12),
        id: 'abc',
      });
      expect(outputOf(answer)).toEqual({
        name: 'logits',
        datatype: 'FP32',
        shape: [3, 10],
        data: truth.data,
      });
      expect(answer.headers.get('x-octet-digest')).toBe(truth.digest);
    }
    const { body, headers } = binaryBody(
      {
        inputs: [
          {
            name: 'input',
            datatype: 'FP32',
            shape: [3, 3, 12, 12],
            parameters: { binary_data_size: input.byteLength },
          },
        ],
        parameters: { binary_data_output: true },
      },
      bytesOf(input),
    );
    for (const request of [
      { body, headers },
      { body: bytesOf(input), headers: { 'inference-header-content-length': '0' } },
    ]) {
      const response = await fetch(`${server.url}/v2/models/net/infer`, {
        method: 'POST',
        ...request,
        body: request.body as BodyInit,
      });
      const bytes = new Uint8Array(await response.arrayBuffer());
      const end = Number(response.headers.get('inference-header-content-length'));
      const header = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end))) as { outputs: unknown };
      expect(header.outputs).toEqual([
        { name: 'logits', datatype: 'FP32', shape: [3, 10], parameters: { binary_data_size: 120 } },
      ]);
      expect([...new Float32Array(bytes.slice(end).buffer)]).toEqual(truth.data);
      expect(response.headers.get('x-octet-digest')).toBe(truth.digest);
    }
  });

  test('quantized values and pixels', async () => {
    const random = createRandom(4);
    const int8 = Int8Array.from({ length: 432 }, () => random.int(-128, 127));
    const pixels = Uint8Array.from({ length: 432 }, () => random.int(0, 255));
    const cases = [
      [{ datatype: 'INT8', shape: [1, 3, 12, 12], data: [...int8] }, int8],
      [{ datatype: 'UINT8', shape: [1, 12, 12, 3], data: [...pixels] }, { pixels }],
    ] as const;
    for (const [tensor, input] of cases) {
      const { outputs } = await model.run({ input });
      expect(outputOf(await inferJson([{ name: 'input', ...tensor }])).data).toEqual([
        ...outputs.logits.data,
      ]);
    }
  });

  test('the version in the address decides which file answers', async () => {
    const input = randomReals(5, 1);
    const tensor = { name: 'input', datatype: 'FP32', shape: [1, 3, 12, 12], data: [...input] };
    for (const [version, of] of [
      [hashes[1], bare],
      [hashes[0], model],
    ] as const) {
      const path = `/v2/models/net/versions/${version.slice(0, 12)}/infer`;
      const answer = await post(path, JSON.stringify({ inputs: [tensor] }));
      const truth = await expected(of, input);
      expect(outputOf(answer).data).toEqual(truth.data);
      expect(answer.headers.get('x-octet-digest')).toBe(truth.digest);
    }
  });

  test('many at once, of different sizes, each get their own answer', async () => {
    const truths = await Promise.all(
      Array.from({ length: 24 }, async (_, i) => {
        const input = randomReals(100 + i, 1 + (i % 5));
        return { input, ...(await expected(model, input)) };
      }),
    );
    const answers = await Promise.all(
      truths.map(({ input }) =>
        inferJson([
          { name: 'input', datatype: 'FP32', shape: [input.length / 432, 3, 12, 12], data: [...input] },
        ]),
      ),
    );
    const accepted = answers.flatMap((answer, i) =>
      answer.status === 200 ? [[answer, truths[i]] as const] : [],
    );
    // The queue holds 64 of 72 pictures, so that one or two may be sent away; with word of when to come again.
    expect(accepted.length).toBeGreaterThan(16);
    for (const [answer, truth] of accepted) {
      expect(outputOf(answer).data).toEqual(truth.data);
      expect(answer.headers.get('x-octet-digest')).toBe(truth.digest);
    }
    for (const { status, headers } of answers.filter((answer) => answer.status !== 200)) {
      expect([status, Number(headers.get('retry-after'))]).toEqual([429, expect.any(Number)]);
    }
  });
});

/** A Python with `tritonclient[http]`; without one the tests above, which speak the same protocol from Node, are all there is. */
const python = [process.env.OCTET_PYTHON, 'python3'].find(
  (command) => command && spawnSync(command, ['-c', 'import tritonclient.http']).status === 0,
);
if (python) {
  test("NVIDIA's client makes all of its calls", async () => {
    const client = fileURLToPath(new URL('../../examples/clients/triton.py', import.meta.url));
    const { stdout } = await promisify(execFile)(python, [client, new URL(server.url).host, 'net']);
    expect(stdout).toMatch(/^all calls answered; SHA-256 of the logits [0-9a-f]{64}$/m);
  });
}

describe('classify', () => {
  test('ranks a picture as the library does', async () => {
    const bytes = await png(30, 20);
    const { data } = await sharp(bytes).raw().toBuffer({ resolveWithObject: true });
    const { predictions } = await model.classify(
      { width: 30, height: 20, data: new Uint8Array(data) },
      { topK: 3 },
    );
    const answer = await post('/v2/models/net/classify?top=3', bytes as BodyInit, {
      'content-type': 'image/png',
    });
    expect(answer.status).toBe(200);
    expect(answer.json.predictions).toEqual(predictions);
    expect(answer.headers.get('x-octet-digest')).toMatch(/^[0-9a-f]{64}$/);
  });

  test('a bad picture is its own caller’s error', async () => {
    const good = await png(12, 12);
    const bad = [
      [Buffer.from('hello'), /text file/],
      [good.subarray(0, good.length - 30), /damaged or cut off/],
      [Buffer.alloc(0), /empty/],
      [
        await sharp({ create: { width: 1200, height: 900, channels: 3, background: '#888' } })
          .png()
          .toBuffer(),
        /megapixels/,
      ],
    ] as const;
    const [answers, truth] = await Promise.all([
      Promise.all(bad.map(([body]) => post('/v2/models/net/classify', body as BodyInit))),
      post('/v2/models/net/classify', good as BodyInit),
    ]);
    for (const [i, { status, json }] of answers.entries()) {
      expect([status, json.error]).toEqual([400, expect.stringMatching(bad[i][1])]);
    }
    expect(truth.status).toBe(200);
    const path = `/v2/models/net/versions/${hashes[1].slice(0, 12)}/classify`;
    const noPixels = await post(path, good as BodyInit);
    expect([noPixels.status, noPixels.json.error]).toEqual([
      400,
      expect.stringMatching(/how pixels are normalized/),
    ]);
  });
});

describe('wrong requests', () => {
  const tensor = {
    name: 'input',
    datatype: 'FP32',
    shape: [1, 3, 12, 12],
    data: new Array<number>(432).fill(0.5),
  };
  test.each<readonly [what: string, inputs: readonly object[], RegExp, rest: object]>([
    ['no input', [], /"input" is missing/, {}],
    ['another input', [{ ...tensor, name: 'x' }], /no input "x"/, {}],
    ['an input twice', [tensor, tensor], /twice/, {}],
    ['another type', [{ ...tensor, datatype: 'FP64' }], /takes FP32/, {}],
    ['another shape', [{ ...tensor, shape: [1, 3, 12, 13] }], /has shape \[N, 3, 12, 12\]/, {}],
    ['no batch', [{ ...tensor, shape: [0, 3, 12, 12] }], /N at least 1/, {}],
    ['a huge batch', [{ ...tensor, shape: [2 ** 40, 3, 12, 12] }], /values|length|takes/, {}],
    ['few values', [{ ...tensor, data: [1, 2] }], /has 2 values, and its shape takes 432/, {}],
    ['text', [{ ...tensor, data: tensor.data.map(String) }], /no FP32 at index 0/, {}],
    ['no data', [{ ...tensor, data: undefined }], /either data or/, {}],
    [
      'bytes that are not there',
      [{ ...tensor, data: undefined, parameters: { binary_data_size: 9 } }],
      /0 bytes of the body are left/,
      {},
    ],
    ['no fraction in INT8', [{ ...tensor, datatype: 'INT8' }], /no INT8 at index 0/, {}],
    ['another output', [tensor], /no output "x"/, { outputs: [{ name: 'x' }] }],
    ['a long id', [tensor], /id must be/, { id: 'x'.repeat(1000) }],
  ])('%s', async (_, inputs, message, rest) => {
    const { status, json } = await inferJson(inputs, rest);
    expect([status, json.error]).toEqual([400, expect.stringMatching(message)]);
  });

  test('bodies that are no JSON, headers that lie, a NaN in binary', async () => {
    const values = randomReals(6, 1);
    values[17] = NaN;
    const nan = binaryBody(
      { inputs: [{ ...tensor, data: undefined, parameters: { binary_data_size: 1728 } }] },
      bytesOf(values),
    );
    const cases: readonly (readonly [BodyInit, Record<string, string>, RegExp])[] = [
      ['{"inputs":', {}, /not JSON/],
      [Buffer.from([0xff, 0xfe, 0x80]), {}, /not JSON/],
      ['', {}, /not JSON/],
      [
        JSON.stringify({ inputs: [tensor] }).replace('0.5', `${'['.repeat(20_000)}1${']'.repeat(20_000)}`),
        {},
        /nested too deep/,
      ],
      ['[]', {}, /must be|missing/],
      ['{}', { 'inference-header-content-length': '99' }, /has 2 bytes/],
      ['{}', { 'inference-header-content-length': '-1' }, /has 2 bytes/],
      [nan.body, nan.headers, /not a number at index 17/],
      ['123', { 'inference-header-content-length': '0' }, /must be a multiple/],
    ];
    for (const [body, headers, message] of cases) {
      const { status, json } = await post('/v2/models/net/infer', body, headers);
      expect([status, json.error]).toEqual([400, expect.stringMatching(message)]);
    }
    expect((await inferJson([tensor])).status).toBe(200);
  });

  test('other models, versions, paths, methods, encodings and lengths', async () => {
    expect((await post('/v2/models/dog/infer', '{}')).status).toBe(404);
    expect((await post('/v2/models/net/versions/1/infer', '{}')).status).toBe(404);
    expect((await post('/v2/models/..%2f..%2fetc/infer', '{}')).status).toBe(404);
    expect((await call('/v2/models/__proto__')).status).toBe(404);
    expect((await call('/')).status).toBe(404);
    expect((await post('/v2/models/net/infer', '{}', { 'content-encoding': 'gzip' })).status).toBe(415);
    expect((await post('/v2/models/net/infer', Buffer.alloc(1_000_001))).status).toBe(413);
    expect((await inferJson([tensor])).status).toBe(200);
  });
});

/** Sends text and resolves to all that comes back until the server closes. */
async function talk(base: string, send: (socket: Socket) => void): Promise<string> {
  const { hostname, port } = new URL(base);
  const socket = connect(Number(port), hostname);
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  socket.on('error', () => undefined);
  send(socket);
  await new Promise((resolve) => socket.once('close', resolve));
  return text;
}

describe('limits', () => {
  const authorized = { authorization: `Bearer ${TOKEN}` };
  const body = (pictures: number) =>
    JSON.stringify({
      inputs: [
        {
          name: 'input',
          datatype: 'FP32',
          shape: [pictures, 3, 12, 12],
          data: [...randomReals(9, pictures)],
        },
      ],
    });
  const infer = (pictures: number, headers: Record<string, string> = authorized) =>
    call('/v2/models/net/infer', { method: 'POST', body: body(pictures), headers }, other.url);

  test('a token for all but health', async () => {
    for (const path of ['/v2', '/v2/models/net', '/metrics', '/nothing']) {
      const { status, headers } = await call(path, {}, other.url);
      expect([path, status, headers.get('www-authenticate')]).toEqual([path, 401, 'Bearer']);
    }
    expect((await infer(1, { authorization: `Bearer ${TOKEN}x` })).status).toBe(401);
    expect((await infer(1, { authorization: `Basic ${TOKEN}` })).status).toBe(401);
    expect((await call('/v2/health/ready', {}, other.url)).status).toBe(200);
    expect((await infer(1)).status).toBe(200);
  });

  test('more than the queue holds is refused with the time to try again; what is accepted is answered', async () => {
    const { status, headers, json } = await infer(7);
    expect([status, headers.get('retry-after'), json.error]).toEqual([
      429,
      '1',
      expect.stringMatching(/more than the queue/),
    ]);
    // While the process stands still, nothing leaves the queue.
    const [{ pool }] = other.models;
    process.kill(pool.processIds[0], 'SIGSTOP');
    const sent = Array.from({ length: 60 }, () => infer(2));
    expect((await Promise.race(sent)).status).toBe(429);
    process.kill(pool.processIds[0], 'SIGCONT');
    const flood = await Promise.all(sent);
    const counts = { 200: 0, 429: 0 } as Record<number, number>;
    for (const answer of flood) counts[answer.status] = (counts[answer.status] ?? 0) + 1;
    expect(counts[200]).toBeGreaterThan(0);
    expect(counts[429]).toBeGreaterThan(0);
    expect(counts[200] + counts[429]).toBe(60);
    const truth = outputOf(flood.find((answer) => answer.status === 200)!).data;
    for (const answer of flood) if (answer.status === 200) expect(outputOf(answer).data).toEqual(truth);
    expect((await infer(1)).status).toBe(200);
  });

  test('slow headers and slow bodies are cut off, and hold no room', async () => {
    const head = `POST /v2/models/net/infer HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\n`;
    const answers = await Promise.all([
      talk(other.url, (socket) => socket.write(head)),
      talk(other.url, (socket) => socket.write(`${head}content-length: 900000\r\n\r\nx`)),
      talk(other.url, (socket) => socket.write(`${head}content-length: 900000\r\n\r\nx`)),
      talk(other.url, (socket) => socket.write(`${head}content-length: 900000\r\n\r\nx`)),
      talk(other.url, (socket) => {
        socket.write(`${head}content-length: 900000\r\n\r\nx`);
        setTimeout(() => socket.destroy(), 100);
      }),
    ]);
    for (const answer of answers.slice(0, 4)) expect(answer).toMatch(/^HTTP\/1\.1 408/);
    // All the room is there again: 4 of 900 kB.
    const held = await talk(other.url, (socket) => {
      socket.write(`${head}connection: close\r\ncontent-length: 5\r\n\r\nhello`);
    });
    expect(held).toMatch(/^HTTP\/1\.1 400/);
    expect((await infer(1)).status).toBe(200);
  });

  test('bodies beyond what may be held at once are refused before they are read', async () => {
    const head = `POST /v2/models/net/infer HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\ncontent-length: 999999\r\n\r\n`;
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => talk(other.url, (socket) => socket.write(head))),
    );
    expect(answers.filter((answer) => answer.startsWith('HTTP/1.1 429'))).toHaveLength(2);
    expect(answers.filter((answer) => /^retry-after: \d/im.test(answer))).toHaveLength(2);
  });
});

describe('a process that dies', () => {
  const tensor = { name: 'input', datatype: 'FP32', shape: [1, 3, 12, 12], data: [...randomReals(8, 1)] };

  test('costs its batch an answer of 503 at worst, and comes back with the same answers', async () => {
    const alone = await serve({ files: [{ name: 'net', path: folder.path('net.int8.onnx') }] });
    try {
      const send = () =>
        call(
          '/v2/models/net/infer',
          { method: 'POST', body: JSON.stringify({ inputs: [tensor] }) },
          alone.url,
        );
      const truth = await send();
      process.kill(alone.models[0].pool.processIds[0], 'SIGKILL');
      const during = await Promise.all(Array.from({ length: 8 }, send));
      for (const { status } of during) expect([200, 503]).toContain(status);
      await expect
        .poll(async () => (await call('/v2/health/ready', {}, alone.url)).status, { timeout: 20_000 })
        .toBe(200);
      expect(outputOf(await send())).toEqual(outputOf(truth));
      const metrics = await (await fetch(`${alone.url}/metrics`)).text();
      expect(metrics).toMatch(/octet_process_restarts_total\{model="net"\} 1/);
    } finally {
      await alone.close();
    }
  });
});
