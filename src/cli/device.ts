import { Option, type Command } from 'commander';
import { measureDevice } from '../inspect/device.ts';
import type { DeviceProfile } from '../inspect/target.ts';
import { positiveInteger } from './options.ts';
import { print, printJson, table } from './output.ts';

interface DeviceCommandOptions {
  readonly backend: DeviceProfile['backend'];
  readonly threads: number;
  readonly json?: boolean;
}

export function configure(command: Command): void {
  command
    .addOption(new Option('--backend <name>', 'whose device').choices(['webgpu', 'wasm']).default('webgpu'))
    .option('--threads <n>', 'threads that the profile is for (wasm)', positiveInteger, 1)
    .option('--json', 'print the profile: a file for octet inspect --target')
    .action(async ({ backend, threads, json }: DeviceCommandOptions) => {
      const profile = await measureDevice({ backend, threads });
      if (json) {
        printJson(profile);
        return;
      }
      const { rates } = profile;
      const capabilities = profile.backend === 'webgpu' ? profile.webgpu : profile.wasm;
      print(profile.title);
      print(
        table(
          ['', ''],
          [
            ...Object.entries(capabilities).map(([name, value]) => [
              name,
              typeof value === 'object' ? JSON.stringify(value) : String(value),
            ]),
            ...Object.entries(rates.peakGmacs).map(([name, peak]) => [`peak of ${name}`, `${peak} GMAC/s`]),
            ['memory', `${rates.bandwidth} GB/s`],
            [
              'a dispatch',
              `${rates.dispatchMicroseconds} µs${profile.backend === 'wasm' ? ' (nominal)' : ''}`,
            ],
          ],
        ),
      );
    });
}
