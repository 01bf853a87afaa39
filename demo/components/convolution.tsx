import { useEffect, useState } from 'preact/hooks';
import { engine } from '../engine/client.ts';
import type { Explanation, LayerInfo, Pixels, Place } from '../engine/protocol.ts';
import * as format from '../format.ts';
import { messageOf, notice } from '../state.ts';

/** Windows of more rows or columns are not drawn: dense layers over whole pictures. */
const MOST_DRAWN = 8;

/** How one byte of a convolution came about: the window, the products, the sum, and the arithmetic back to a byte. */
export function Convolution({
  layer,
  pixels,
  at,
  onMove,
}: {
  readonly layer: LayerInfo;
  readonly pixels: Pixels;
  readonly at: Place;
  readonly onMove: (at: Place) => void;
}) {
  const [found, setFound] = useState<Explanation | null>(null);
  useEffect(() => {
    let current = true;
    engine.explain(layer.name, at, pixels).then(
      (explanation) => current && setFound(explanation),
      (error: unknown) => current && (notice.value = messageOf(error)),
    );
    return () => {
      current = false;
    };
  }, [layer, pixels, at]);
  const [height, width, channels] = layer.outputShape;
  return (
    <section class="convolution" aria-labelledby="convolution-title">
      <div class="subview-head">
        <h4 id="convolution-title">How one byte came about</h4>
        <div class="places">
          <PlaceField
            name="Channel"
            most={channels}
            value={at.channel}
            onChange={(channel) => onMove({ ...at, channel })}
          />
          <PlaceField name="Row" most={height} value={at.row} onChange={(row) => onMove({ ...at, row })} />
          <PlaceField
            name="Column"
            most={width}
            value={at.column}
            onChange={(column) => onMove({ ...at, column })}
          />
        </div>
      </div>
      {found && <Steps found={found} />}
    </section>
  );
}

function PlaceField({
  name,
  most,
  value,
  onChange,
}: {
  readonly name: string;
  readonly most: number;
  readonly value: number;
  readonly onChange: (value: number) => void;
}) {
  return (
    <label class="field">
      <span>{name}</span>
      <input
        type="number"
        min={0}
        max={most - 1}
        value={value}
        onChange={(event) => {
          const next = Math.round(Number(event.currentTarget.value));
          onChange(Math.min(Math.max(Number.isFinite(next) ? next : 0, 0), most - 1));
        }}
      />
    </label>
  );
}

function Steps({ found }: { readonly found: Explanation }) {
  const { kernel, inChannels, input, weights, bias, acc, requantized, pooled, added, stored } = found;
  const sums = Array.from({ length: inChannels }, (_, channel) => sumOf(found, channel));
  const strongest = sums.reduce(
    (best, sum, channel) => (Math.abs(sum) > Math.abs(sums[best]) ? channel : best),
    0,
  );
  const [chosen, setChosen] = useState<number | null>(null);
  const channel = Math.min(chosen ?? strongest, inChannels - 1);
  const total = sums.reduce((sum, each) => sum + each, 0);
  const products = input.length;
  const isDrawn = kernel[0] <= MOST_DRAWN && kernel[1] <= MOST_DRAWN;
  const result = added?.byte ?? (pooled ? Math.max(...pooled) : (requantized?.byte ?? acc));
  return (
    <ol class="conv-steps">
      <li>
        <p>
          <strong>Multiply.</strong> {format.count(products)} {products === 1 ? 'input' : 'inputs'} (
          {format.shape([...kernel, inChannels])}) by as many weights.
          {found.isPadding.some(Boolean) &&
            ` Beyond the edge (dotted) stands ${format.signed(found.inputZeroPoint)}, which means zero.`}
        </p>
        {isDrawn && (
          <div class="conv-window">
            <Matrix title="inputs" found={found} of={(tap) => input[tap * inChannels + channel]} />
            <span aria-hidden="true">×</span>
            <Matrix title="weights" found={found} of={(tap) => weights[tap * inChannels + channel]} />
            <span aria-hidden="true">=</span>
            <Matrix
              title="products"
              found={found}
              of={(tap) => input[tap * inChannels + channel] * weights[tap * inChannels + channel]}
            />
          </div>
        )}
        {inChannels > 1 && (
          <label class="field wide">
            <span>Input channel {channel}</span>
            <input
              type="range"
              min={0}
              max={inChannels - 1}
              value={channel}
              onInput={(event) => setChosen(Number(event.currentTarget.value))}
            />
            <span class="number">{format.signed(sums[channel])}</span>
          </label>
        )}
      </li>
      <li>
        <p>
          <strong>Add up</strong> in 32 bits: {format.signed(total)} from all products and{' '}
          {format.signed(bias)} of bias make the accumulator <b>{format.signed(acc)}</b>.
        </p>
      </li>
      {requantized && (
        <li>
          <p>
            <strong>Scale back</strong> without floats: × {format.count(requantized.mantissa)} ={' '}
            {format.signed(BigInt(requantized.product))}, then ÷ 2<sup>{requantized.shift}</sup>, rounded:{' '}
            <b>{format.signed(requantized.rounded)}</b>. Plus the zero point{' '}
            {format.signed(requantized.zeroPoint)}, kept within {format.signed(requantized.lo)} and{' '}
            {format.signed(requantized.hi)}: <b>{format.signed(requantized.byte)}</b>.
          </p>
        </li>
      )}
      {pooled && (
        <li>
          <p>
            <strong>Pool.</strong> The largest of {pooled.map(format.signed).join(', ')} is kept: this one.
          </p>
        </li>
      )}
      {added && (
        <li>
          <p>
            <strong>Add the shortcut.</strong> ({format.signed(requantized!.byte)} −{' '}
            {format.signed(added.inputZeroPoints[0])}) × {format.count(added.multipliers[0])} + (
            {format.signed(added.other)} − {format.signed(added.inputZeroPoints[1])}) ×{' '}
            {format.count(added.multipliers[1])}, ÷ 2<sup>{added.shift}</sup>, rounded:{' '}
            {format.signed(added.rounded)}. Plus {format.signed(added.zeroPoint)}:{' '}
            <b>{format.signed(added.byte)}</b>.
          </p>
        </li>
      )}
      <li>
        <p>
          <strong>Stored:</strong> the run has <b>{format.signed(stored)}</b> here
          {result === stored ? (
            <span class="right">, the same</span>
          ) : (
            <span class="wrong">, which differs</span>
          )}
          .
        </p>
      </li>
    </ol>
  );
}

/** What one input channel contributes. */
function sumOf({ input, weights, inChannels }: Explanation, channel: number): number {
  let sum = 0;
  for (let i = channel; i < input.length; i += inChannels) sum += input[i] * weights[i];
  return sum;
}

function Matrix({
  title,
  found: { kernel, isPadding },
  of,
}: {
  readonly title: string;
  readonly found: Explanation;
  readonly of: (tap: number) => number;
}) {
  const [rows, columns] = kernel;
  return (
    <table class="conv-matrix" aria-label={title}>
      <caption>{title}</caption>
      <tbody>
        {Array.from({ length: rows }, (_row, row) => (
          <tr key={row}>
            {Array.from({ length: columns }, (_column, column) => {
              const tap = row * columns + column;
              return (
                <td key={column} class={isPadding[tap] ? 'padding' : undefined}>
                  {format.signed(of(tap))}
                </td>
              );
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
