import type { HostNode } from '../model/host-nodes.ts';
import { counted, percent, table } from './output.ts';

/** What runs on the CPU, node by node. */
export function hostNodesText(nodes: readonly HostNode[]): string {
  const share = nodes.reduce((sum, node) => sum + node.share, 0);
  return [
    `${counted(nodes.length, 'node')} of it ${nodes.length === 1 ? 'runs' : 'run'} in float32 on the CPU, ${percent(share)} of the multiply-adds:`,
    table(
      ['node', 'operator', ' multiply-adds', ' share', 'reason'],
      nodes.map(({ name, op, reason, macs, share: part }) => [
        name,
        op,
        macs ? macs.toLocaleString('en') : '',
        macs ? percent(part) : '',
        reason,
      ]),
    ),
  ].join('\n');
}
