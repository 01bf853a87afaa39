import { describe, expect, it } from 'vitest';
import { DeviceError, InputError, ModelError } from '../../src/errors.ts';
import type { SessionInput } from '../../src/schedule/session.ts';
import { createReferenceSession } from '../../src/reference/session.ts';
import { createProgramBuilder, randomInputs } from '../support/program-builder.ts';
import { createRandom } from '../support/random.ts';
import { randomProgram } from '../support/random-program.ts';

const program = randomProgram(3);
const [{ tensor: inputId }] = program.inputs;
const [{ tensor: outputId }] = program.outputs;

function inputsOf(batch: number, seed = 1): Map<number, SessionInput> {
  const data = randomInputs(program, batch, createRandom(seed));
  return new Map([...data].map(([id, values]) => [id, { kind: 'quantized', data: values }]));
}

describe('a run', () => {
  it('gives each image what it gives it alone', async () => {
    using session = createReferenceSession(program);
    const whole = inputsOf(3);
    const { tensors } = await session.run(whole, { batch: 3 });
    for (let n = 0; n < 3; n++) {
      const one = new Map(
        [...whole].map(([id, input]): [number, SessionInput] => {
          const { data } = input as { data: Int8Array };
          return [
            id,
            { kind: 'quantized', data: data.subarray((n * data.length) / 3, ((n + 1) * data.length) / 3) },
          ];
        }),
      );
      const alone = (await session.run(one, { batch: 1 })).tensors.get(outputId)!;
      expect(tensors.get(outputId)!.slice(n * alone.length, (n + 1) * alone.length)).toEqual(alone);
    }
  });

  it('returns the tensors asked for, inputs too, in memory of their own', async () => {
    using session = createReferenceSession(program);
    const inputs = inputsOf(1);
    const asked = program.tensors.map(({ id }) => id);
    const { tensors, timings } = await session.run(inputs, { batch: 1, tensors: asked });
    expect([...tensors.keys()].toSorted((a, b) => a - b)).toEqual(asked);
    const given = inputs.get(inputId) as { data: Int8Array };
    expect(tensors.get(inputId)).toEqual(given.data);
    expect(tensors.get(inputId)).not.toBe(given.data);
    expect(timings.computeMs).toBeGreaterThan(0);
  });

  it('quantizes pixels by table and pads them', async () => {
    const builder = createProgramBuilder();
    const input = builder.input([1, 2, 3], 9);
    builder.emit({
      kind: 'lookup',
      name: 'copy',
      inputs: [input.id],
      output: builder.tensor([1, 2, 3], 9).id,
      table: Int8Array.from({ length: 256 }, (_, i) => i - 128),
    });
    using session = createReferenceSession(builder.build('copy'));
    const table = Int8Array.from({ length: 768 }, (_, i) => (i % 256) / 2 - 60 + Math.floor(i / 256));
    const pixels = Uint8Array.of(0, 2, 4, 255, 128, 6);
    const { tensors } = await session.run(new Map([[input.id, { kind: 'pixels', pixels, table }]]), {
      batch: 1,
    });
    expect([...tensors.get(1)!]).toEqual([-60, -58, -56, 9, 67, 5, -55, 9]);
  });
});

describe('refuses', () => {
  const wrong: Record<string, [ReadonlyMap<number, SessionInput>, number, RegExp]> = {
    'a missing input': [new Map(), 1, /missing/],
    'a wrong length': [
      new Map([...inputsOf(1)].map(([id]) => [id, { kind: 'quantized', data: new Int8Array(3) }])),
      1,
      /elements, got 3/,
    ],
    'a batch of 0': [inputsOf(1), 0, /batch size/],
    'a batch of 1.5': [inputsOf(1), 1.5, /batch size/],
    'pixels of a wrong size': [
      new Map(
        [...inputsOf(1)].map(([id]) => [
          id,
          { kind: 'pixels', pixels: new Uint8Array(1), table: new Int8Array(256) },
        ]),
      ),
      1,
      /pixels, got 1 bytes/,
    ],
    'pixels in a GPU buffer': [
      new Map(
        [...inputsOf(1)].map(([id]) => [
          id,
          { kind: 'pixels', pixels: { size: 4 } as GPUBuffer, table: new Int8Array(256) },
        ]),
      ),
      1,
      /only the webgpu backend reads pixels from a GPUBuffer/,
    ],
  };
  it.each(Object.entries(wrong))('%s', async (_, [inputs, batch, reason]) => {
    using session = createReferenceSession(program);
    const run = session.run(inputs, { batch });
    await expect(run).rejects.toThrow(InputError);
    await expect(run).rejects.toThrow(reason);
  });

  it('tensors that the program lacks', async () => {
    using session = createReferenceSession(program);
    await expect(session.run(inputsOf(1), { batch: 1, tensors: [999] })).rejects.toThrow(/no tensor 999/);
  });

  it('operations that no operator runs', async () => {
    const unknown = {
      ...program,
      operations: [{ kind: 'fft', name: 'n', inputs: [inputId], output: outputId }],
    };
    using session = createReferenceSession(unknown);
    await expect(session.run(inputsOf(1), { batch: 1 })).rejects.toThrow(ModelError);
  });
});

describe('ends', () => {
  it('when its signal aborts, with the signal’s reason', async () => {
    using session = createReferenceSession(program);
    const controller = new AbortController();
    const run = session.run(inputsOf(2), { batch: 2, signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(run).rejects.toThrow('enough');
  });

  it('when the session is disposed of, which may happen twice', async () => {
    const session = createReferenceSession(program);
    const run = session.run(inputsOf(1), { batch: 1, signal: new AbortController().signal });
    session.dispose();
    session.dispose();
    await expect(run).rejects.toThrow(DeviceError);
    await expect(session.run(inputsOf(1), { batch: 1 })).rejects.toThrow(DeviceError);
  });
});
