/**
 * Dawn rounds GPU timestamps to 65 µs, as long as several of a GPU's kernels. Benchmarks in Node ask it not to; before the first device is
 * opened, and unless `OCTET_DAWN` says something else.
 */
export function askForExactTimestamps(): void {
  process.env.OCTET_DAWN ??= 'disable-dawn-features=timestamp_quantization';
}
