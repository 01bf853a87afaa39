import type { Timings } from 'octetjs';
import * as format from '../format.ts';
import { info } from '../state.ts';

/** Where the time of one answer went. */
export function Latency({ timings }: { readonly timings: Timings }) {
  const parts = [
    { name: 'Upload', ms: timings.uploadMs },
    { name: info.value?.backend === 'webgpu' ? 'GPU' : 'CPU', ms: timings.computeMs },
    { name: 'Readback', ms: timings.readbackMs },
  ];
  const sum = parts.reduce((total, part) => total + part.ms, 0) || 1;
  return (
    <div class="latency">
      <div class="latency-bar" aria-hidden="true">
        {parts.map((part) => (
          <span key={part.name} style={{ flexGrow: part.ms / sum }} />
        ))}
      </div>
      <dl>
        {parts.map((part) => (
          <div key={part.name}>
            <dt>{part.name}</dt>
            <dd>{format.milliseconds(part.ms)}</dd>
          </div>
        ))}
        <div>
          <dt>In all</dt>
          <dd>{format.milliseconds(timings.totalMs)}</dd>
        </div>
      </dl>
    </div>
  );
}
