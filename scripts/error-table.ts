/** The text of docs/errors.md: every message that src/ makes, and what to do about it (error-remedies.ts). */
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import ts from 'typescript';
import { DeviceError, InputError, ModelError, OctetError } from '../src/errors.ts';
import { remedyFor } from './error-remedies.ts';

export const errorTablePath = fileURLToPath(new URL('../docs/errors.md', import.meta.url));

const root = fileURLToPath(new URL('../', import.meta.url));
const sources = `${root}src/`;
const configPath = `${root}tsconfig.json`;

/** What a person should make of each class. */
const MEANINGS = {
  [ModelError.name]:
    'The model file is damaged, or has something that Octet cannot run. `problems` lists all of it: node, operator, reason.',
  [InputError.name]: 'An argument is wrong: its shape, type, range, or the file that it names.',
  [DeviceError.name]:
    'No adapter, a lost device, or no memory. The next call opens the device again, unless it was yours.',
  [OctetError.name]:
    'Something beside Octet failed: a package that is not installed, ONNX Runtime, a data set.',
};

/** Types of what reports the problems of a model: their `node`, `add`, `problem` methods, and callbacks named thus. */
const REPORTERS = new Set(['problem', 'node', 'add', 'report', 'fail']);

/**
 * Finds every message by following the data with the compiler: from where an error is made, or a problem reported, back through
 * variables, conditions, parameters and the functions that return texts.
 */
class MessageFinder {
  readonly #checker: ts.TypeChecker;
  /** Calls by the symbol of what is called, to follow parameters to their arguments. */
  readonly #calls = new Map<ts.Symbol, ts.CallExpression[]>();
  /** What variables are set to after their declaration. */
  readonly #assigned = new Map<ts.Symbol, ts.Expression[]>();
  readonly #seen = new Set<ts.Node>();

  constructor(program: ts.Program, files: readonly ts.SourceFile[]) {
    this.#checker = program.getTypeChecker();
    const visit = (node: ts.Node): void => {
      if (ts.isCallExpression(node)) {
        const symbol = this.#symbolOf(node.expression);
        if (symbol) this.#calls.set(symbol, [...(this.#calls.get(symbol) ?? []), node]);
      }
      if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.EqualsToken) {
        const symbol = this.#symbolOf(node.left);
        if (symbol) this.#assigned.set(symbol, [...(this.#assigned.get(symbol) ?? []), node.right]);
      }
      ts.forEachChild(node, visit);
    };
    files.forEach(visit);
  }

  #symbolOf(node: ts.Node): ts.Symbol | undefined {
    const symbol = this.#checker.getSymbolAtLocation(node);
    if (symbol && symbol.flags & ts.SymbolFlags.Alias) return this.#checker.getAliasedSymbol(symbol);
    return symbol;
  }

  /** Every text that `node` can be, with … for what is filled in. */
  texts(node: ts.Expression): string[] {
    if (this.#seen.has(node)) return [];
    this.#seen.add(node);
    try {
      return [...new Set(this.#follow(node))];
    } finally {
      this.#seen.delete(node);
    }
  }

  #follow(node: ts.Expression): string[] {
    if (ts.isStringLiteralLike(node)) return [node.text];
    if (ts.isTemplateExpression(node)) {
      return [node.head.text + node.templateSpans.map(({ literal }) => `…${literal.text}`).join('')];
    }
    if (ts.isBinaryExpression(node)) {
      const [left, right] = [this.texts(node.left), this.texts(node.right)];
      if (node.operatorToken.kind !== ts.SyntaxKind.PlusToken) return [...left, ...right];
      return (left.length ? left : ['…']).flatMap((a) => (right.length ? right : ['…']).map((b) => a + b));
    }
    if (ts.isConditionalExpression(node))
      return [...this.texts(node.whenTrue), ...this.texts(node.whenFalse)];
    if (ts.isParenthesizedExpression(node) || ts.isAsExpression(node) || ts.isNonNullExpression(node)) {
      return this.texts(node.expression);
    }
    if (ts.isCallExpression(node)) return this.#called(node);
    if (ts.isIdentifier(node)) return this.#definitions(this.#symbolOf(node));
    if (ts.isElementAccessExpression(node)) return this.#entries(this.#symbolOf(node.expression));
    return [];
  }

  #called(node: ts.CallExpression): string[] {
    const { expression: callee, arguments: given } = node;
    if (ts.isPropertyAccessExpression(callee)) {
      if (['join', 'slice', 'filter'].includes(callee.name.text)) return this.texts(callee.expression);
      const [mapper] = given;
      if (callee.name.text === 'map' && mapper && ts.isArrowFunction(mapper)) {
        return ts.isBlock(mapper.body) ? this.#returned(mapper.body) : this.texts(mapper.body);
      }
    }
    return this.#returns(this.#symbolOf(callee));
  }

  #definitions(symbol: ts.Symbol | undefined): string[] {
    const assigned = (symbol && this.#assigned.get(symbol)) ?? [];
    const declared = (symbol?.declarations ?? []).flatMap((declaration) => {
      if (ts.isVariableDeclaration(declaration) && declaration.initializer)
        return this.texts(declaration.initializer);
      if (!ts.isParameter(declaration)) return [];
      const position = declaration.parent.parameters.indexOf(declaration);
      const named = ts.isVariableDeclaration(declaration.parent.parent)
        ? declaration.parent.parent.name
        : declaration.parent.name;
      const callee = named && this.#symbolOf(named);
      const calls = callee ? (this.#calls.get(callee) ?? []) : [];
      return calls.flatMap(({ arguments: given }) => (given[position] ? this.texts(given[position]) : []));
    });
    return [...declared, ...assigned.flatMap((value) => this.texts(value))];
  }

  /** The texts in a table. */
  #entries(symbol: ts.Symbol | undefined): string[] {
    return (symbol?.declarations ?? []).flatMap((declaration) => {
      const table = ts.isVariableDeclaration(declaration) ? declaration.initializer : undefined;
      if (!table || !ts.isObjectLiteralExpression(table)) return [];
      return table.properties.flatMap((entry) =>
        ts.isPropertyAssignment(entry) ? this.texts(entry.initializer) : [],
      );
    });
  }

  #returns(symbol: ts.Symbol | undefined): string[] {
    return (symbol?.declarations ?? []).flatMap((declaration) => {
      const initializer = ts.isVariableDeclaration(declaration) ? declaration.initializer : undefined;
      const made = initializer ?? declaration;
      if (!ts.isFunctionLike(made) || !('body' in made) || !made.body) return [];
      const body = made.body as ts.Node;
      return ts.isBlock(body) ? this.#returned(body) : this.texts(body as ts.Expression);
    });
  }

  #returned(body: ts.Block): string[] {
    const texts: string[] = [];
    const visit = (node: ts.Node): void => {
      if (ts.isReturnStatement(node) && node.expression) texts.push(...this.texts(node.expression));
      else if (!ts.isFunctionLike(node)) ts.forEachChild(node, visit);
    };
    ts.forEachChild(body, visit);
    return texts;
  }

  /** The messages that `node` makes, and the class of the error. */
  messages(node: ts.Node): { error: string; texts: readonly string[] } | null {
    if (ts.isNewExpression(node) && ts.isIdentifier(node.expression) && node.expression.text in MEANINGS) {
      const [first] = node.arguments ?? [];
      return first ? { error: node.expression.text, texts: this.texts(first) } : null;
    }
    if (ts.isPropertyAssignment(node) && node.name.getText() === 'reason') {
      const type = this.#checker.getContextualType(node.parent);
      if (!type?.getProperty('op')) return null;
      return { error: ModelError.name, texts: this.texts(node.initializer).map(atNode) };
    }
    if (ts.isShorthandPropertyAssignment(node) && node.name.text === 'reason') {
      const symbol = this.#checker.getShorthandAssignmentValueSymbol(node);
      return { error: ModelError.name, texts: this.#definitions(symbol).map(atNode) };
    }
    if (!ts.isCallExpression(node)) return null;
    const callee = node.expression;
    const name = ts.isPropertyAccessExpression(callee) ? callee.name.text : callee.getText();
    if (!REPORTERS.has(name)) return null;
    const owner = ts.isPropertyAccessExpression(callee) ? callee.expression.getText() : '';
    if (name === 'add' && !/problems$/i.test(owner)) return null;
    const atOne = name === 'problem' || name === 'node';
    const reason = node.arguments[atOne ? 1 : 0];
    if (!reason || (name === 'node' && !/problems$/i.test(owner))) return null;
    const type = this.#checker.getTypeAtLocation(reason);
    if (!(type.flags & ts.TypeFlags.StringLike) && !type.isUnion()) return null;
    return { error: ModelError.name, texts: this.texts(reason).map(name === 'add' ? String : atNode) };
  }
}

const atNode = (text: string) => `… "…": ${text}`;

export async function errorTable(): Promise<string> {
  const found = new Map<string, Map<string, Set<string>>>(
    Object.keys(MEANINGS).map((error) => [error, new Map()]),
  );
  const files = readdirSync(sources, { recursive: true, encoding: 'utf8' })
    .map((file) => file.replaceAll('\\', '/'))
    .filter((file) => file.endsWith('.ts') && !file.includes('/assembly/'))
    .sort();
  const paths = files.map((file) => sources + file);
  const { config } = ts.readConfigFile(configPath, (path) => ts.sys.readFile(path)) as { config: unknown };
  const { options: compilerOptions } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const program = ts.createProgram(paths, compilerOptions);
  const parsed = files.map((file, i) => ({ file, source: program.getSourceFile(paths[i])! }));
  const finder = new MessageFinder(
    program,
    parsed.map(({ source }) => source),
  );
  for (const { file, source } of parsed) {
    const visit = (node: ts.Node): void => {
      const made = finder.messages(node);
      for (const text of made?.texts ?? []) {
        // All of it is filled in: the parts are listed where they are made.
        if (!/[a-z]{3}/.test(text)) continue;
        const rows = found.get(made!.error)!;
        rows.set(text, (rows.get(text) ?? new Set()).add(file));
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  const escape = (text: string) =>
    text
      .replaceAll('|', '\\|')
      .replaceAll('\n', ' ')
      .replace(/([*_<>])/g, '\\$1');
  const sections = [...found].map(([error, rows]) => {
    const lines = [...rows]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(
        ([text, where]) =>
          `| ${escape(text)} | ${remedyFor(error, text)} | ${[...where].map((file) => `[\`${file}\`](../src/${file})`).join(', ')} |`,
      );
    return `## ${error}\n\n${MEANINGS[error]}\n\n| message | what to do | from |\n| --- | --- | --- |\n${lines.join('\n')}`;
  });
  const page = `# Errors

Generated by \`npm run docs\` from the sources. Every exception that leaves the public API is an \`OctetError\`, mostly one of its three kinds; … stands for
what a message fills in. An aborted call rejects with its signal's reason.

${sections.join('\n\n')}
`;
  const options = await resolveConfig(errorTablePath);
  return format(page, { ...options, parser: 'markdown' });
}
