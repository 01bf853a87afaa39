/** What Octet does not interpret of a message, kept as wire bytes so that it survives a round trip. */
import { create, type DescMessage, mergeFromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import type { Extras } from '../graph/graph.ts';

/** The fields of `message` outside `known`, unknown ones included: `{ extras }`, or `{}` where there are none. */
export function readExtras<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
  known: ReadonlySet<string>,
): { extras?: Extras } {
  const others = Object.entries(message).filter(
    ([key, value]) => !known.has(key) && key !== '$typeName' && !isDefault(value),
  );
  // Nearly always: making and encoding a message takes several times as long as looking.
  if (others.length === 0) return {};
  const extras = toBinary(schema, Object.assign(create(schema), Object.fromEntries(others)));
  return extras.length > 0 ? { extras } : {};
}

/** Whether a field of this value is left out on the wire. */
function isDefault(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return !value;
  if (Array.isArray(value) || value instanceof Uint8Array) return value.length === 0;
  return 'case' in value && value.case === undefined;
}

/** Puts `extras` back into `message`, and returns it. */
export function writeExtras<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
  extras: Extras | undefined,
): MessageShape<Desc> {
  return extras ? mergeFromBinary(schema, message, extras) : message;
}
