// Imports run only along the flow of data (ARCHITECTURE.md). Each folder lists what it may import; all else is an error.
const may = {
  numerics: [],
  graph: ['numerics'],
  onnx: ['graph'],
  program: ['graph', 'numerics'],
  schedule: ['program'],
  ops: ['graph', 'numerics', 'program', 'schedule'],
  quantize: ['graph', 'numerics', 'onnx', 'platform', 'program'],
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
  inspect: [
    'graph',
    'numerics',
    'onnx',
    'program',
    'ops',
    'schedule',
    'quantize',
    'webgpu',
    'wasm',
    'vision',
    'model',
  ],
  serve: ['graph', 'model', 'onnx', 'platform', 'program', 'schedule', 'vision'],
  platform: [],
};
/**
 * Around `src`, each folder may import those before it, so that none import each other in circles. `test/support` is what tests share
 * with scripts and benchmarks.
 */
const around = ['test/support', 'scripts', 'bench', 'demo', 'test'];
/** The package's entries, which the demo page gets its library from. */
const entries = '^src/index(-quantize|-vision|-inspect|-extend)?\\.ts$';
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
      to: { path: '^(src|demo|bench|test|scripts)/' },
    },
    {
      name: 'no-tests-in-source',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench|demo|scripts)/' },
    },
    ...around.map((folder, i) => ({
      name: `around-${folder.replace('/', '-')}`,
      severity: 'error',
      comment: `${folder} may import only src, shaders, ${around.slice(0, i + 1).join(', ')}`,
      from: { path: `^${folder}/`, ...(folder === 'test' && { pathNot: '^test/support/' }) },
      to: {
        path: `^(${around.join('|')})/`,
        pathNot: `^(${around.slice(0, i + 1).join('|')})/`,
      },
    })),
    {
      name: 'demo-from-entries',
      severity: 'error',
      comment: 'the page uses the package as any page does; types are no part of it',
      from: { path: '^demo/' },
      to: { path: '^src/', pathNot: entries, dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'entries-are-doors',
      severity: 'error',
      comment: 'src goes to the file that holds a thing, not through an entry',
      from: { path: '^src/' },
      to: { path: entries },
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
