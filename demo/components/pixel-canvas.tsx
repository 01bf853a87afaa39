import { useLayoutEffect, useRef } from 'preact/hooks';
import type { Pixels } from '../engine/protocol.ts';

/** A small picture with hard pixels: enlarged by CSS, never smoothed. */
export function PixelCanvas({ pixels, label }: { readonly pixels: Pixels; readonly label: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    const context = canvas.current!.getContext('2d')!;
    const image = context.createImageData(pixels.width, pixels.height);
    for (let source = 0, target = 0; source < pixels.data.length; source += 3, target += 4) {
      image.data[target] = pixels.data[source]!;
      image.data[target + 1] = pixels.data[source + 1]!;
      image.data[target + 2] = pixels.data[source + 2]!;
      image.data[target + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  }, [pixels]);
  return (
    <canvas
      ref={canvas}
      class="pixels"
      width={pixels.width}
      height={pixels.height}
      role="img"
      aria-label={label}
    />
  );
}
