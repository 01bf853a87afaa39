/** Interpolation between pixels, with fixed-point weights. */
import { Resize } from './parameters';
import { fillLanes } from './pool';
import { load4, pack4, requantizeUniformly } from './requantize';

/**
 * `y = requantize(Σ_r Σ_c rowWeight[r] · columnWeight[c] · (x − z_x))`. `taps` holds, one after the other: rows, as many weights, columns, as
 * many weights. A unit is one row of y.
 */
export function resize(x: usize, y: usize, taps: usize, shape: Resize, unitStart: i32, unitEnd: i32): void {
  const channels = <usize>shape.channels;
  const rowEntries = <usize>(shape.outHeight * shape.rowTaps) << 2;
  const columnEntries = <usize>(shape.outWidth * shape.columnTaps) << 2;
  const columns = taps + 2 * rowEntries;
  const zero = i32x4.splat(shape.inputZeroPoint);
  for (let unit = unitStart; unit < unitEnd; unit++) {
    const image = x + <usize>(unit / shape.outHeight) * <usize>(shape.height * shape.width) * channels;
    const row = taps + (<usize>((unit % shape.outHeight) * shape.rowTaps) << 2);
    for (let w = 0; w < shape.outWidth; w++) {
      const column = columns + (<usize>(w * shape.columnTaps) << 2);
      const to = y + <usize>(unit * shape.outWidth + w) * channels;
      for (let c: usize = 0; c < channels; c += 4) {
        let sum = i32x4.splat(0);
        for (let r = 0; r < shape.rowTaps; r++) {
          const rowAt = row + (<usize>r << 2);
          const line = image + <usize>(load<i32>(rowAt) * shape.width) * channels + c;
          let inner = i32x4.splat(0);
          for (let k = 0; k < shape.columnTaps; k++) {
            const columnAt = column + (<usize>k << 2);
            const value = i32x4.sub(load4(line + <usize>load<i32>(columnAt) * channels), zero);
            inner = i32x4.add(inner, i32x4.mul(value, i32x4.splat(load<i32>(columnAt + columnEntries))));
          }
          sum = i32x4.add(sum, i32x4.mul(inner, i32x4.splat(load<i32>(rowAt + rowEntries))));
        }
        store<i32>(
          to + c,
          pack4(requantizeUniformly(sum, shape.mantissa, shape.shift, shape.zeroPoint, shape.lo, shape.hi)),
        );
      }
      fillLanes(to + channels, shape.lastLanes, shape.zeroPoint);
    }
  }
}
