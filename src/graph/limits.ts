/**
 * What a file may ask for. Each bound is several times what the largest networks have, and small enough that a
 * hostile file is refused within a second or two. `docs/your-own-model.md` lists them.
 */

/** Nodes of a graph. */
export const MAX_NODES = 20_000;
/** Initializers of a graph. */
export const MAX_INITIALIZERS = 65_536;
/** Inputs of a graph (beside initializers, which old files list there too), and its outputs. */
export const MAX_PORTS = 1_024;
/** Inputs of a node, its outputs and its attributes, each. */
export const MAX_OPERANDS = 1_024;
/** Dimensions of a tensor: as many as NumPy and PyTorch allow. */
export const MAX_RANK = 64;
/** Characters of a name. */
export const MAX_NAME = 1_024;
/** Elements of a tensor: what a typed array can surely index. */
export const MAX_ELEMENTS = 2 ** 31 - 1;
/** Length of a list that stands for a shape, axes, pads or the like. */
export const MAX_LIST = 1_024;
