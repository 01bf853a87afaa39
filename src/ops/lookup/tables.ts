import { paddedChannels } from '../../program/program.ts';

/** The tables of all channels as stored: what padded lanes are looked up in gives the zero point, whatever they hold. */
export function storedTables(table: Int8Array, channels: number, zeroPoint: number): Int8Array {
  if (table.length === 256) return table;
  const stored = new Int8Array(paddedChannels(channels) * 256).fill(zeroPoint);
  stored.set(table);
  return stored;
}
