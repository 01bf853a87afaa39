/** Lines of a stream, as they come. */
import type { Readable } from 'node:stream';

/** A line without its end; null for one that was longer than allowed, whose text is gone. */
export type Line = string | null;

/**
 * The lines that each piece of the stream completes, so that whoever writes one and waits has its answer. The last needs no line end.
 *
 * @param maxBytes longest line
 */
export async function* readLines(stream: Readable, maxBytes: number): AsyncGenerator<readonly Line[]> {
  let parts: Buffer[] = [];
  let bytes = 0;
  const keep = (part: Buffer) => {
    bytes += part.length;
    // Nothing is kept of a line that is too long already.
    if (bytes > maxBytes) parts = [];
    else parts.push(part);
  };
  const finish = (): Line => {
    const line = bytes > maxBytes ? null : Buffer.concat(parts).toString('utf8').replace(/\r$/, '');
    parts = [];
    bytes = 0;
    return line;
  };
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    const lines: Line[] = [];
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      keep(chunk.subarray(start, end));
      lines.push(finish());
      start = end + 1;
    }
    if (start < chunk.length) keep(chunk.subarray(start));
    if (lines.length > 0) yield lines;
  }
  if (bytes > 0) yield [finish()];
}
