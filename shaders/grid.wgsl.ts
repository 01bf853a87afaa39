import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';

/** How a one-dimensional range of invocations is laid over the workgroup grid. */
export interface Grid {
  readonly workgroupSize: number;
  /** Workgroups in x; where they are more than a dimension may have, the rest goes on in y. */
  readonly columns: number;
  /** Invocations that have work; those beyond do nothing. */
  readonly invocations: number;
}

/** Declares `INVOCATIONS` and `invocationIndex(workgroup, local)`, the invocation's place in the range. */
export const gridWgsl = (grid: Grid) => wgsl`
const WORKGROUP_SIZE = ${grid.workgroupSize}u;
const GRID_COLUMNS = ${grid.columns}u;
const INVOCATIONS = ${grid.invocations}u;

fn invocationIndex(workgroup: vec3<u32>, local: u32) -> u32 {
  return (workgroup.y * GRID_COLUMNS + workgroup.x) * WORKGROUP_SIZE + local;
}
`;
