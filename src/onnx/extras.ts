/** What Octet does not interpret of a message, kept as wire bytes so that it survives a round trip. */
import { create, type DescMessage, mergeFromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import type { Extras } from '../graph/graph.ts';

/** The fields of `message` outside `known`, unknown ones included: `{ extras }`, or `{}` where there are none. */
export function readExtras<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
  known: ReadonlySet<string>,
): { extras?: Extras } {
  const rest = create(schema);
  for (const [key, value] of Object.entries(message)) {
    if (!known.has(key) && key !== '$typeName') (rest as Record<string, unknown>)[key] = value;
  }
  const extras = toBinary(schema, rest);
  return extras.length > 0 ? { extras } : {};
}

/** Puts `extras` back into `message`, and returns it. */
export function writeExtras<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
  extras: Extras | undefined,
): MessageShape<Desc> {
  return extras ? mergeFromBinary(schema, message, extras) : message;
}
