import js from '@eslint/js';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  {
    ignores: [
      'dist/',
      'build/',
      'src/wasm/build/',
      'src/inspect/build/',
      'node_modules/',
      'coverage/',
      '.cache/',
      '**/assembly/**',
      'training/',
    ],
  },
  js.configs.recommended,
  {
    files: ['**/*.ts', '**/*.tsx'],
    extends: [tseslint.configs.recommendedTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      // Indexing typed arrays in hot loops: the assertion documents that the index is in range.
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/prefer-for-of': 'off',
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true, allowArray: true },
      ],
    },
  },
  {
    files: ['**/*.mjs', 'examples/**/*.js'],
    languageOptions: {
      globals: { Buffer: 'readonly', console: 'readonly', process: 'readonly', URL: 'readonly' },
    },
  },
  {
    // Engines differ in the last bit of these functions, so they would break the promise of the same bytes everywhere. Powers of two are exact
    // (test/engines checks it).
    files: ['src/**/*.ts', 'shaders/**/*.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        ...[
          ...[
            'acos',
            'acosh',
            'asin',
            'asinh',
            'atan',
            'atan2',
            'atanh',
            'cbrt',
            'cos',
            'cosh',
            'exp',
            'expm1',
          ],
          ...['hypot', 'log', 'log10', 'log1p', 'log2', 'pow', 'sin', 'sinh', 'tan', 'tanh'],
        ].map((property) => ({
          object: 'Math',
          property,
          message: 'Its last bit differs between engines. Use src/numerics/elementary.ts.',
        })),
      ],
      'no-restricted-syntax': [
        'error',
        {
          selector:
            'BinaryExpression[operator="**"]:not([left.value=2]), AssignmentExpression[operator="**="]',
          message:
            'Its last bit differs between engines, but for powers of 2. Use products, or pow of src/numerics/elementary.ts.',
        },
      ],
    },
  },
  {
    // The flow of data (ARCHITECTURE.md): only the platform doors, the CLI and tests may name Node's modules.
    files: ['src/**/*.ts'],
    ignores: ['src/cli/**', 'src/serve/**', 'src/platform/node.ts', 'src/**/node/**'],
    rules: {
      'no-restricted-imports': ['error', { patterns: [{ group: ['node:*'], message: 'Use #platform.' }] }],
    },
  },
);
