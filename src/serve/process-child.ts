/** The process's side of the channel, whatever runs the model. */
import { DeviceError, OctetError } from '../errors.ts';
import type { FromProcess, ProcessModel, ProcessOptions, ToProcess } from './messages.ts';
import type { Unit, UnitResult } from './units.ts';

export interface OpenedModel {
  readonly model: ProcessModel;
  run(units: readonly Unit[], signal: AbortSignal): Promise<readonly UnitResult[]>;
}

/** Answers the parent until it leaves. */
export function serveParent(open: (options: ProcessOptions) => Promise<OpenedModel>): void {
  const say = (message: FromProcess) => process.send!(message);
  const runs = new Map<number, AbortController>();
  let opened: OpenedModel | undefined;

  const run = async (id: number, units: readonly Unit[]): Promise<void> => {
    const controller = new AbortController();
    runs.set(id, controller);
    try {
      say({ kind: 'done', id, results: await opened!.run(units, controller.signal) });
    } catch (error) {
      say({ kind: 'failed', id, message: messageOf(error), fatal: error instanceof DeviceError });
    } finally {
      runs.delete(id);
    }
  };

  process.on('message', (message: ToProcess) => {
    switch (message.kind) {
      case 'load':
        open(message.options).then(
          (model) => {
            opened = model;
            say({ kind: 'loaded', model: model.model });
          },
          (error: unknown) => say({ kind: 'refused', message: messageOf(error) }),
        );
        break;
      case 'run':
        void run(message.id, message.units);
        break;
      case 'cancel':
        runs.get(message.id)?.abort(new OctetError('nobody waits for this answer'));
        break;
    }
  });
  process.on('disconnect', () => process.exit());
  // Ctrl-C reaches all processes of a terminal: the parent drains its queue first.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => undefined);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
