/** How inputs reach the device: quantized ones straight into the plan's memory, pixels through the quantizing kernel. */
import type { SessionInput } from '../schedule/session.ts';
import { elementCount } from '../program/program.ts';
import type { IntegerProgram, TensorId } from '../program/program.ts';
import { bufferUsage } from './flags.ts';
import { guarded } from './guard.ts';
import type { PipelineCache } from './pipelines.ts';
import type { PreparedDispatch, PreparedPlan } from './prepared-plan.ts';

/** The part of a run that inputs are taken from. */
export interface InputPart {
  readonly inputs: ReadonlyMap<TensorId, SessionInput>;
  /** First image. */
  readonly first: number;
}

/** What quantizes the pixels of one input tensor, at one plan's batch size. */
interface PixelStage {
  readonly pixels: GPUBuffer;
  readonly table: GPUBuffer;
  readonly dispatch: PreparedDispatch;
  /** What `table` holds: written again only where a run brings another. */
  values: Int8Array | undefined;
}

/** The input side of one prepared plan. */
export class PixelStages {
  readonly #device: GPUDevice;
  readonly #program: IntegerProgram;
  readonly #prepared: PreparedPlan;
  readonly #pipelines: PipelineCache;
  readonly #stages = new Map<TensorId, Promise<PixelStage>>();
  readonly #ready = new Map<TensorId, PixelStage>();
  #disposed = false;

  constructor(device: GPUDevice, program: IntegerProgram, prepared: PreparedPlan, pipelines: PipelineCache) {
    this.#device = device;
    this.#program = program;
    this.#prepared = prepared;
    this.#pipelines = pipelines;
  }

  /** Makes what these inputs need and earlier ones did not. Afterwards `write` need not wait. */
  async prepare(inputs: ReadonlyMap<TensorId, SessionInput>): Promise<void> {
    for (const { tensor } of this.#program.inputs) {
      if (inputs.get(tensor)?.kind !== 'pixels' || this.#ready.has(tensor)) continue;
      let stage = this.#stages.get(tensor);
      if (!stage) {
        stage = this.#make(tensor);
        this.#stages.set(tensor, stage);
        stage.catch(() => this.#stages.delete(tensor));
      }
      const made = await stage;
      if (!this.#disposed) this.#ready.set(tensor, made);
    }
  }

  /** Queues the writes of a part's inputs, and returns the dispatches that quantize its pixels. */
  write(encoder: GPUCommandEncoder, { inputs, first }: InputPart): PreparedDispatch[] {
    const { queue } = this.#device;
    const count = this.#prepared.plan.batch;
    const dispatches: PreparedDispatch[] = [];
    for (const { tensor: id } of this.#program.inputs) {
      const input = inputs.get(id)!;
      const tensor = this.#program.tensors[id];
      // The host's.
      if (input.kind === 'reals') continue;
      if (input.kind === 'quantized') {
        const { buffer, offset } = this.#prepared.range(id);
        const perImage = elementCount(tensor, 1);
        const data = input.data.subarray(first * perImage, (first + count) * perImage);
        queue.writeBuffer(buffer, offset, data as Int8Array<ArrayBuffer>);
        continue;
      }
      const stage = this.#ready.get(id)!;
      const [height, width, channels] = tensor.image;
      const perImage = height * width * channels;
      if (input.pixels instanceof Uint8Array) {
        const pixels = input.pixels.subarray(first * perImage, (first + count) * perImage);
        queue.writeBuffer(stage.pixels, 0, wholeWords(pixels));
      } else {
        encoder.copyBufferToBuffer(input.pixels, first * perImage, stage.pixels, 0, stage.pixels.size);
      }
      if (stage.values !== input.table) {
        queue.writeBuffer(stage.table, 0, input.table as Int8Array<ArrayBuffer>);
        stage.values = input.table;
      }
      dispatches.push(stage.dispatch);
    }
    return dispatches;
  }

  dispose(): void {
    this.#disposed = true;
    for (const { pixels, table } of this.#ready.values()) {
      pixels.destroy();
      table.destroy();
    }
    this.#ready.clear();
    // One that is still being made is destroyed when it is.
    for (const stage of this.#stages.values()) {
      stage.then(
        ({ pixels, table }) => {
          pixels.destroy();
          table.destroy();
        },
        () => undefined,
      );
    }
  }

  async #make(id: TensorId): Promise<PixelStage> {
    const tensor = this.#program.tensors[id];
    const { batch, inputs } = this.#prepared.plan;
    const [height, width, channels] = tensor.image;
    const pixelCount = batch * height * width;
    const { label, code, workgroups } = inputs.find(({ tensor }) => tensor === id)!.quantizePixels!;
    const { pipeline, layout } = await this.#pipelines.kernel(label, code, ['read', 'read', 'write']);
    return guarded(this.#device, 'preparing the pixel input', () => {
      const create = (bytes: number) =>
        this.#device.createBuffer({
          label,
          size: (bytes + 3) & ~3,
          usage: bufferUsage.storage | bufferUsage.copyDst,
        });
      const pixels = create(pixelCount * channels);
      const table = create(channels * 256);
      const bindGroup = this.#device.createBindGroup({
        label,
        layout,
        entries: [{ buffer: pixels }, { buffer: table }, this.#prepared.range(id)].map(
          (resource, binding) => ({
            binding,
            resource,
          }),
        ),
      });
      return { pixels, table, values: undefined, dispatch: { pipeline, bindGroup, workgroups } };
    });
  }
}

/** WebGPU writes whole words: the bytes as they are, or a copy that is filled up. */
function wholeWords(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  if (bytes.length % 4 === 0) return bytes as Uint8Array<ArrayBuffer>;
  const words = new Uint8Array((bytes.length + 3) & ~3);
  words.set(bytes);
  return words;
}
