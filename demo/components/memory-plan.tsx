import { useState } from 'preact/hooks';
import type { MemoryPlan } from 'octetjs/extend';
import * as format from '../format.ts';
import { Figure } from './figure.tsx';

const WIDTH = 720;
const LEFT = 0;
const ARENA_GAP = 14;
const HEIGHT = 260;
/** A block that is lower has no name in it. */
const LABEL_HEIGHT = 14;
const LETTER_WIDTH = 5.5;

/** Buffers over steps: each tensor a rectangle, from the step that writes it to the last that reads it, at its place in memory. */
export function MemoryPlanPicture({
  plan,
  steps,
}: {
  readonly plan: MemoryPlan;
  readonly steps: readonly string[];
}) {
  const [shown, setShown] = useState<number | null>(null);
  const stepCount = Math.max(...plan.allocations.map(({ lastStep }) => lastStep)) + 1;
  const stepWidth = (WIDTH - LEFT) / stepCount;
  const scale = (HEIGHT - ARENA_GAP * (plan.arenas.length - 1)) / plan.peakBytes;
  const arenaTop = plan.arenas.map(
    (_, arena) =>
      plan.arenas.slice(0, arena).reduce((sum, bytes) => sum + bytes, 0) * scale + arena * ARENA_GAP,
  );
  const tensor = plan.allocations.find(({ id }) => id === shown);
  return (
    <div class="memory">
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        role="img"
        aria-label={`Memory plan: ${plan.allocations.length} tensors in ${plan.arenas.length} arenas over ${stepCount} steps, ${format.bytes(plan.peakBytes)} in all`}
      >
        {plan.arenas.map((bytes, arena) => (
          <rect
            key={arena}
            class="arena"
            x={LEFT}
            y={arenaTop[arena]}
            width={WIDTH - LEFT}
            height={bytes * scale}
          />
        ))}
        {plan.allocations.map((allocation) => (
          <rect
            key={allocation.id}
            class={allocation.id === shown ? 'allocation shown' : 'allocation'}
            x={LEFT + allocation.firstStep * stepWidth + 0.5}
            y={arenaTop[allocation.arena] + allocation.offset * scale + 0.5}
            width={(allocation.lastStep - allocation.firstStep + 1) * stepWidth - 1}
            height={Math.max(1, allocation.bytes * scale - 1)}
            rx="1.5"
            onMouseEnter={() => setShown(allocation.id)}
            onMouseLeave={() => setShown(null)}
          />
        ))}
        {plan.allocations.map((allocation) => {
          const width = (allocation.lastStep - allocation.firstStep + 1) * stepWidth;
          const height = allocation.bytes * scale;
          const size = format.bytes(allocation.bytes);
          const title = [`${stepName(allocation.firstStep)}, ${size}`, size].find(
            (text) => text.length * LETTER_WIDTH + 4 < width,
          );
          if (height < LABEL_HEIGHT || title === undefined) return null;
          return (
            <text
              key={allocation.id}
              class="allocation-name"
              aria-hidden="true"
              x={LEFT + allocation.firstStep * stepWidth + 3}
              y={arenaTop[allocation.arena] + allocation.offset * scale + LABEL_HEIGHT - 2}
            >
              {title}
            </text>
          );
        })}
      </svg>
      <p class="muted readout" aria-hidden="true">
        {tensor
          ? `${tensor.name}: ${format.bytes(tensor.bytes)}, from ${stepName(tensor.firstStep)} to ${stepName(tensor.lastStep)}`
          : `Left to right: the steps of a run. Top to bottom: bytes${plan.arenas.length > 1 ? `, in ${plan.arenas.length} arenas` : ''}.`}
      </p>
      <dl class="figures">
        <Figure name="Planned" value={format.bytes(plan.peakBytes)} />
        <Figure name="Least possible" value={format.bytes(plan.lowerBoundBytes)} />
        <Figure name="Without sharing" value={format.bytes(plan.naiveBytes)} />
      </dl>
    </div>
  );

  function stepName(step: number): string {
    // On some backends an operation takes several steps.
    return (stepCount === steps.length && steps[step]) || `step ${step + 1}`;
  }
}
