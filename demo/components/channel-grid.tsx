import { useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import type { Activation, Place } from '../engine/protocol.ts';
import { darkMode } from '../theme.ts';

/** How the channels of one tensor are laid out in one picture: cells of height × width with a line between them. */
interface GridLayout {
  readonly columns: number;
  readonly rows: number;
  readonly cellWidth: number;
  readonly cellHeight: number;
  readonly gap: number;
}

function layoutOf([height, width, channels]: Activation['shape'], aspect: number): GridLayout {
  // Single values (dense layers) need no line between them.
  const gap = height * width === 1 ? 0 : 1;
  const [cellWidth, cellHeight] = [width + gap, height + gap];
  const wanted = Math.sqrt((channels * aspect * cellHeight) / cellWidth);
  const distance = (columns: number) => Math.abs(Math.log(columns / wanted));
  // A number of columns that leaves no ragged last row, where one is near.
  let columns = Math.max(1, Math.round(wanted));
  let best = Math.log(2);
  for (let candidate = 1; candidate <= channels; candidate++) {
    if (channels % candidate !== 0 || distance(candidate) >= best) continue;
    best = distance(candidate);
    columns = candidate;
  }
  return { columns, rows: Math.ceil(channels / columns), cellWidth, cellHeight, gap };
}

/** All channels of an activation as small pictures: nothing is the page's own colour, more is more accent, less than zero the other hue. */
export function ChannelGrid({
  activation,
  channels,
  label,
  aspect = 1.2,
  selected,
  onPoint,
  onSelect,
}: {
  readonly activation: Activation;
  /** Which channels, in order; all where absent. */
  readonly channels?: readonly number[] | undefined;
  /** null where what stands around it says enough. */
  readonly label: string | null;
  /** Wanted width by height of the whole. */
  readonly aspect?: number;
  readonly selected?: number;
  readonly onPoint?: (at: Place | null) => void;
  readonly onSelect?: (at: Place) => void;
}) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [height, width, allChannels] = activation.shape;
  const shown = useMemo(
    () => channels ?? Array.from({ length: allChannels }, (_, channel) => channel),
    [channels, allChannels],
  );
  const grid = layoutOf([height, width, shown.length], aspect);
  const dark = darkMode.value;

  useLayoutEffect(() => {
    const context = canvas.current!.getContext('2d')!;
    const colours = colourTable(context);
    const image = context.createImageData(canvas.current!.width, canvas.current!.height);
    const words = new Uint32Array(image.data.buffer);
    const largest = largestMagnitude(activation);
    const { data, zeroPoint } = activation;
    shown.forEach((channel, position) => {
      const left = (position % grid.columns) * grid.cellWidth;
      const top = Math.floor(position / grid.columns) * grid.cellHeight;
      for (let row = 0; row < height; row++) {
        for (let column = 0; column < width; column++) {
          const value = data[(row * width + column) * allChannels + channel] - zeroPoint;
          words[(top + row) * image.width + left + column] =
            colours[Math.round((value / largest) * 255) + 255]!;
        }
      }
    });
    context.putImageData(image, 0, 0);
  }, [activation, shown, grid.columns, dark]);

  function locate(event: MouseEvent): Place | null {
    const box = canvas.current!.getBoundingClientRect();
    const x = Math.floor(((event.clientX - box.left) / box.width) * canvas.current!.width);
    const y = Math.floor(((event.clientY - box.top) / box.height) * canvas.current!.height);
    const position = Math.floor(y / grid.cellHeight) * grid.columns + Math.floor(x / grid.cellWidth);
    const [row, column] = [y % grid.cellHeight, x % grid.cellWidth];
    const channel = shown[position];
    return channel === undefined || row >= height || column >= width ? null : { channel, row, column };
  }

  const marker = selected === undefined ? -1 : shown.indexOf(selected);
  return (
    <div class="channel-grid">
      <canvas
        ref={canvas}
        class="pixels"
        {...(label === null ? { 'aria-hidden': true } : { role: 'img', 'aria-label': label })}
        width={grid.columns * grid.cellWidth - grid.gap}
        height={grid.rows * grid.cellHeight - grid.gap}
        onMouseMove={onPoint && ((event) => onPoint(locate(event)))}
        onMouseLeave={onPoint && (() => onPoint(null))}
        onClick={
          onSelect &&
          ((event) => {
            const at = locate(event);
            if (at) onSelect(at);
          })
        }
      />
      {marker >= 0 && (
        <div
          // One of its own for each place: a marker that travelled would count as a layout shift.
          key={`${marker}/${shown.length}/${width}`}
          class="channel-marker"
          style={{
            left: `${((marker % grid.columns) * grid.cellWidth * 100) / (grid.columns * grid.cellWidth - grid.gap)}%`,
            top: `${(Math.floor(marker / grid.columns) * grid.cellHeight * 100) / (grid.rows * grid.cellHeight - grid.gap)}%`,
            width: `${(width * 100) / (grid.columns * grid.cellWidth - grid.gap)}%`,
            height: `${(height * 100) / (grid.rows * grid.cellHeight - grid.gap)}%`,
          }}
        />
      )}
    </div>
  );
}

/** The channels that vary most over the picture, strongest first: what is worth showing small. */
export function strongestChannels(
  { shape: [height, width, channels], data }: Activation,
  howMany: number,
): number[] {
  const spread = Array.from({ length: channels }, (_, channel) => {
    let [least, most] = [Infinity, -Infinity];
    for (let pixel = 0; pixel < height * width; pixel++) {
      const value = data[pixel * channels + channel];
      least = Math.min(least, value);
      most = Math.max(most, value);
    }
    return { channel, range: most - least };
  });
  return spread
    .sort((a, b) => b.range - a.range)
    .slice(0, howMany)
    .map(({ channel }) => channel);
}

function largestMagnitude({ data, zeroPoint }: Activation): number {
  let largest = 1;
  for (const value of data) largest = Math.max(largest, Math.abs(value - zeroPoint));
  return largest;
}

/** 511 colours for −255…255, as the words of an ImageData: from the page's own custom properties, so that they follow the theme. */
function colourTable(context: CanvasRenderingContext2D): Uint32Array {
  const style = getComputedStyle(context.canvas);
  const [nothing, more, less] = ['--map-zero', '--map-more', '--map-less'].map((name) =>
    rgb(style.getPropertyValue(name), context),
  );
  return Uint32Array.from({ length: 511 }, (_, position) => {
    const share = (position - 255) / 255;
    const end = share < 0 ? less : more;
    // The square root lifts small activations out of the background.
    const weight = Math.sqrt(Math.abs(share));
    const mixed = nothing.map((start, channel) => Math.round(start + (end[channel] - start) * weight));
    return (0xff000000 | (mixed[2] << 16) | (mixed[1] << 8) | mixed[0]) >>> 0;
  });
}

/** An opaque CSS colour, however written (builds shorten `#ffffff`), as three numbers: canvases say it as `#rrggbb`. */
function rgb(colour: string, context: CanvasRenderingContext2D): number[] {
  context.fillStyle = colour.trim();
  const value = Number.parseInt(String(context.fillStyle).slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}
