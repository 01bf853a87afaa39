/** The form of an inspection as JSON, which docs/inspection.schema.json publishes. */
import * as v from 'valibot';
import type { Inspection } from './inspect.ts';

const number = v.number();
const text = v.string();
const whole = v.pipe(number, v.integer(), v.minValue(0));
const shape = v.array(v.union([whole, text]));
const described = (schema: v.GenericSchema, description: string) =>
  v.pipe(schema, v.description(description));

const value = v.object({ name: text, dtype: text, shape });
const expected = v.object({ ms: number, limit: v.picklist(['arithmetic', 'memory', 'dispatch', 'host']) });
const channels = v.array(v.object({ channel: whole, sqnr: number }));
const pictures = v.array(v.object({ picture: whole, sqnr: number }));
const levels = v.object({
  first: v.pipe(number, v.integer()),
  width: whole,
  float: v.array(whole),
  integer: v.array(whole),
});

const rates = v.object({
  peakGmacs: v.record(text, number),
  efficiency: number,
  bandwidth: number,
  dispatchMicroseconds: number,
  hostGmacs: number,
  hostMicroseconds: number,
});
const target = v.looseObject({
  profile: v.literal(1),
  name: text,
  title: text,
  source: v.picklist(['nominal', 'measured']),
  backend: v.picklist(['webgpu', 'wasm']),
  rates,
});

const node = v.object({
  name: text,
  op: described(text, 'ONNX operator'),
  shape,
  parameters: whole,
  macs: described(whole, 'multiply-adds for one image, by the file'),
  reads: v.array(text),
  value: text,
  stage: v.picklist(['device', 'host', 'none', 'refused']),
  operations: described(v.array(whole), 'indices into operations'),
  reason: described(text, 'why it runs there'),
});

const operation = v.object({
  name: text,
  kind: text,
  stage: v.picklist(['device', 'host']),
  kernel: v.nullable(text),
  family: v.nullable(text),
  candidates: whole,
  dispatches: whole,
  macs: whole,
  bytes: whole,
  constantBytes: whole,
  weightBits: v.nullable(whole),
  weightBytes: described(v.nullable(whole), 'in a file'),
  checksum: described(v.nullable(text), 'FNV-1a of integer weights and biases'),
  accumulatorBound: v.nullable(whole),
  reads: v.array(text),
  output: v.object({
    name: text,
    shape,
    type: v.picklist(['int8', 'accumulator', 'int32', 'float32']),
    bytes: whole,
    scale: number,
    zeroPoint: v.pipe(number, v.integer()),
  }),
  expected,
  measuredMs: v.nullable(number),
  kernelText: v.nullable(text),
});

const allocation = v.object({
  id: whole,
  name: text,
  bytes: whole,
  arena: whole,
  offset: whole,
  firstStep: whole,
  lastStep: whole,
});

const accuracy = v.object({
  pictures: whole,
  backend: text,
  values: v.array(
    v.object({
      name: text,
      sqnr: described(number, 'decibels; 200 where nothing differs'),
      cosine: number,
      largestDifference: number,
      clippedShare: number,
      levels: v.nullable(levels),
      worstChannels: channels,
      worstPictures: pictures,
    }),
  ),
  agreement: v.nullable(number),
  otherAnswers: v.array(whole),
});

const effect = v.object({
  sqnr: described(number, 'of the outputs, in decibels; 200 where nothing differs'),
  otherAnswers: described(v.nullable(v.array(whole)), 'pictures that get another class'),
});

const sensitivity = v.object({
  pictures: whole,
  all: effect,
  weights: effect,
  activations: effect,
  layers: v.array(
    v.object({
      kind: v.picklist(['weights', 'activation']),
      name: text,
      node: text,
      bits: whole,
      isolated: described(effect, 'this alone is rounded'),
      cumulative: described(effect, 'this and all of its kind before it are rounded'),
      share: described(number, 'part, 0 to 1, of the noise that all rows bring alone'),
    }),
  ),
});

export const inspectionSchema = v.object({
  file: v.optional(text),
  fileBytes: v.optional(whole),
  inspection: v.literal(1),
  octet: text,
  model: v.object({
    name: text,
    opset: whole,
    quantized: v.boolean(),
    inputs: v.array(value),
    outputs: v.array(value),
    metadata: v.record(text, text),
    parameters: whole,
    macs: whole,
    constantBytes: whole,
  }),
  target,
  batch: whole,
  assumed: v.boolean(),
  nodes: v.array(node),
  operations: v.array(operation),
  problems: v.array(v.object({ node: text, op: text, reason: text, opset: v.optional(whole) })),
  memory: v.nullable(
    v.object({
      allocations: v.array(allocation),
      arenas: v.array(whole),
      peakBytes: whole,
      lowerBoundBytes: whole,
      naiveBytes: whole,
    }),
  ),
  steps: v.array(v.object({ name: text, reads: v.array(whole), writes: v.array(whole) })),
  totals: v.object({
    nodes: v.object({ device: whole, host: whole, none: whole, refused: whole }),
    macs: whole,
    hostMacs: whole,
    bytes: whole,
    constantBytes: whole,
    dispatches: whole,
    hostStages: whole,
    expectedMs: number,
    measuredMs: v.nullable(number),
  }),
  accuracy: v.nullable(accuracy),
  sensitivity: v.nullable(sensitivity),
});

/** For arguments. */
export const anInspection = v.custom<Inspection>(
  (value) => v.is(inspectionSchema, value),
  'an Inspection, as inspectModel gives it',
);
