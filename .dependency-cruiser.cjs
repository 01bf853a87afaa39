// Imports run only along the flow of data (ARCHITECTURE.md). Each folder lists what it may import; all else is an error.
const may = {
  numerics: [],
  graph: ['numerics'],
  onnx: ['graph'],
  program: ['graph', 'numerics'],
  schedule: ['program'],
  ops: ['graph', 'program', 'schedule'],
  quantize: ['graph', 'numerics', 'onnx', 'program'],
  vision: ['numerics', 'platform'],
  reference: ['ops', 'program', 'schedule'],
  webgpu: ['ops', 'program', 'schedule', 'platform'],
  wasm: ['ops', 'program', 'schedule', 'platform'],
  model: [
    'graph',
    'onnx',
    'program',
    'ops',
    'schedule',
    'quantize',
    'reference',
    'webgpu',
    'wasm',
    'vision',
    'platform',
  ],
  platform: [],
};
/** Files without logic of their own that everyone may name. */
const shared = '^src/(arguments|errors|progress|version)\\.ts$';

module.exports = {
  forbidden: [
    {
      name: 'no-cycle',
      severity: 'error',
      comment:
        'types may name each other (a graph carries the rows of its operators, rows speak of graphs); modules may not',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'shaders-import-nothing',
      severity: 'error',
      from: { path: '^shaders/' },
      to: { path: '^(src|demo|bench|test)/' },
    },
    {
      name: 'no-tests-in-source',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench|demo|scripts)/' },
    },
    ...Object.entries(may).map(([folder, targets]) => ({
      name: `flow-${folder}`,
      severity: 'error',
      comment: `src/${folder} may import only ${['arguments', 'errors', 'progress', 'version', ...targets].join(', ')}`,
      from: { path: `^src/${folder}/` },
      to: {
        path: '^src/',
        pathNot: [shared, `^src/(${[folder, ...targets].join('|')})/`],
      },
    })),
    {
      name: 'shaders-from-kernels',
      severity: 'error',
      comment: 'shader templates are for the kernels of src/ops and the device code',
      from: { path: '^src/', pathNot: '^src/(ops|webgpu)/' },
      to: { path: '^shaders/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { conditionNames: ['octet:source', 'node', 'import', 'default'] },
  },
};
