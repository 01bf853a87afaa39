/** Whether the device's dot4I8Packed can be trusted: some drivers have got its signs or its sums wrong. */
import { packBytes } from '../ops/gpu-dispatch.ts';
import { PACKED_DOT_TEST_WORKGROUP, packedDotTestWgsl } from '../../shaders/packed-dot-test.wgsl.ts';
import { bufferUsage, mapModeRead } from './flags.ts';
import { guarded } from './guard.ts';
import { PipelineCache } from './pipelines.ts';

export interface PackedDotTest {
  readonly usable: boolean;
  /** What was found, for people. */
  readonly reason: string;
}

/** Bytes at which signs, carries and saturation go wrong. */
const edges = [-128, -127, -64, -1, 0, 1, 64, 127];

/** [a, b, a · b] for every pair of edges in every lane beside a fixed rest, and in all lanes at once. */
function makeCases(): readonly (readonly [a: number, b: number, product: number])[] {
  const cases: [number, number, number][] = [];
  const add = (a: readonly number[], b: readonly number[]) => {
    const product = a.reduce((sum, value, lane) => sum + value * b[lane], 0);
    cases.push([packBytes(a[0], a[1], a[2], a[3]), packBytes(b[0], b[1], b[2], b[3]), product]);
  };
  for (const x of edges) {
    for (const y of edges) {
      add([x, x, x, x], [y, y, y, y]);
      add([x, y, x, y], [y, x, -128, 127]);
      for (let lane = 0; lane < 4; lane++) {
        const a = [3, -5, 7, -11];
        const b = [-13, 17, 19, -23];
        a[lane] = x;
        b[lane] = y;
        add(a, b);
      }
    }
  }
  while (cases.length % PACKED_DOT_TEST_WORKGROUP > 0) cases.push([0, 0, 0]);
  return cases;
}

/**
 * Runs the instruction on edge values.
 * @throws {DeviceError} the device is lost or out of memory; that the shader does not compile is a finding, not an error
 */
export async function testPackedDot(device: GPUDevice): Promise<PackedDotTest> {
  const cases = makeCases();
  let kernel;
  try {
    kernel = await new PipelineCache(device).kernel('packed dot test', packedDotTestWgsl(cases.length), [
      'read',
      'write',
    ]);
  } catch {
    return { usable: false, reason: 'dot4I8Packed does not compile on this device' };
  }
  const { pipeline, layout } = kernel;
  const buffers: GPUBuffer[] = [];
  const create = (size: number, usage: number) => {
    const buffer = device.createBuffer({ label: 'packed dot test', size, usage });
    buffers.push(buffer);
    return buffer;
  };
  try {
    const sums = await guarded(device, 'testing dot4I8Packed', async () => {
      const pairs = create(cases.length * 8, bufferUsage.storage | bufferUsage.copyDst);
      const result = create(cases.length * 4, bufferUsage.storage | bufferUsage.copySrc);
      const staging = create(cases.length * 4, bufferUsage.mapRead | bufferUsage.copyDst);
      device.queue.writeBuffer(pairs, 0, new Uint32Array(cases.flatMap(([a, b]) => [a, b])));
      const encoder = device.createCommandEncoder({ label: 'packed dot test' });
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      const entries = [pairs, result].map((buffer, binding) => ({ binding, resource: { buffer } }));
      pass.setBindGroup(0, device.createBindGroup({ layout, entries }));
      pass.dispatchWorkgroups(cases.length / PACKED_DOT_TEST_WORKGROUP);
      pass.end();
      encoder.copyBufferToBuffer(result, 0, staging, 0, staging.size);
      device.queue.submit([encoder.finish()]);
      await staging.mapAsync(mapModeRead);
      return new Int32Array(staging.getMappedRange().slice(0));
    });
    return judge(cases.map(([, , product], index) => sums[index] - 1000 - product));
  } finally {
    for (const buffer of buffers) buffer.destroy();
  }
}

function judge(errors: readonly number[]): PackedDotTest {
  const wrong = errors.filter((error) => error !== 0).length;
  return wrong === 0
    ? { usable: true, reason: `dot4I8Packed is right on all ${errors.length} edge cases` }
    : { usable: false, reason: `dot4I8Packed is wrong on ${wrong} of ${errors.length} edge cases` };
}
