/** Numbers for people. */
const whole = new Intl.NumberFormat('en');

export const count = (value: number): string => whole.format(value);

/** With a true minus sign: −1,234. */
export const signed = (value: number | bigint): string => whole.format(value).replace('-', '−');

export const percent = (share: number, digits = 1): string => `${(share * 100).toFixed(digits)} %`;

/** Decimal megabytes, as download sizes are given. */
export function bytes(value: number): string {
  if (value < 1000) return `${value} B`;
  if (value < 1e6) return `${(value / 1e3).toFixed(value < 1e4 ? 1 : 0)} kB`;
  return `${(value / 1e6).toFixed(1)} MB`;
}

export function milliseconds(value: number): string {
  if (value >= 10_000) return `${(value / 1000).toFixed(1)} s`;
  if (value >= 100) return `${Math.round(value)} ms`;
  return `${value.toFixed(value < 1 ? 2 : 1)} ms`;
}

/** 332 M, 1.2 G: multiply-adds and parameters. */
export function magnitude(value: number): string {
  if (value >= 1e9) return `${(value / 1e9).toFixed(1)} G`;
  if (value >= 1e6) return `${(value / 1e6).toFixed(value < 1e7 ? 1 : 0)} M`;
  if (value >= 1e3) return `${(value / 1e3).toFixed(value < 1e4 ? 1 : 0)} k`;
  return String(value);
}

export const shape = (dimensions: readonly number[]): string => dimensions.join(' × ');
