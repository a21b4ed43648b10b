import { basename } from 'node:path';
import ts from 'typescript';
import type { Violation } from './violation.ts';

/** What the meter counts in one file. */
export type SourceFacts = { file: string; lines: number; any: number; as: number; imports: number };

const forbiddenNames = new Set(['util', 'utils', 'helper', 'helpers', 'common', 'types', 'lib', 'misc']);
const clockCalls = new Set([
  'setTimeout',
  'setInterval',
  'Date.now',
  'performance.now',
  'AbortSignal.timeout',
]);
const randomCalls = new Set(['Math.random', 'crypto.randomUUID', 'crypto.getRandomValues']);

const nodeGlobals = new Set(['process', 'Buffer', 'require', '__dirname', 'setImmediate']);
const serverFolders = /^packages\/[^/]+\/src\/(postgres|node|testing|cli)\//;

/** Checks the text of one source file and counts what the meter prints; needs no type information. */
export function checkSource(file: string, text: string): { violations: Violation[]; facts: SourceFacts } {
  const violations: Violation[] = [];
  const facts: SourceFacts = { file, lines: text.trimEnd().split('\n').length, any: 0, as: 0, imports: 0 };
  const tree = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const imported = new Set<string>();
  const isIndex = basename(file) === 'index.ts';

  const inside = file.replace(/^packages\/[^/]+\/src\//, '');
  for (const part of inside.split('/')) {
    const name = part.replace(/\.tsx?$/, '');
    if (forbiddenNames.has(name)) {
      violations.push({ rule: 'no-vague-name', file, message: `is named "${name}", which says nothing` });
    }
  }

  function breach(rule: string, node: ts.Node, message: string): void {
    const { line } = tree.getLineAndCharacterOfPosition(node.getStart(tree));
    violations.push({ rule, file: `${file}:${line + 1}`, message });
  }

  function visit(node: ts.Node): void {
    if (ts.isImportDeclaration(node)) {
      facts.imports += 1;
      for (const name of importedNames(node)) imported.add(name);
    } else if (ts.isExportDeclaration(node)) {
      if (node.moduleSpecifier) facts.imports += 1;
      if (!isIndex && reexports(node, imported)) {
        breach('only-index-re-exports', node, 're-exports what another file owns');
      }
    } else if (ts.isExportAssignment(node) || hasDefaultModifier(node)) {
      breach('no-default-export', node, 'has a default export');
    } else if (ts.isIdentifier(node) && nodeGlobals.has(node.text) && isReference(node)) {
      if (!serverFolders.test(file)) breach('no-node-global', node, `uses ${node.text}, which only Node has`);
    } else if (node.kind === ts.SyntaxKind.AnyKeyword) {
      facts.any += 1;
      if (!isInsideLikeType(node)) breach('no-any', node, 'says any outside a structural ...Like type');
    } else if (ts.isAsExpression(node) && !ts.isConstTypeReference(node.type)) {
      facts.as += 1;
    } else if (ts.isCallExpression(node)) {
      checkCall(node);
    } else if (
      ts.isNewExpression(node) &&
      node.expression.getText(tree) === 'Date' &&
      !node.arguments?.length
    ) {
      if (!ownsTime) breach('time-through-clock', node, 'reads the time past the Clock port');
    }
    ts.forEachChild(node, visit);
  }

  // A suite runs against real servers, whose time nobody can hold still.
  const ownsTime = basename(file) === 'clock.ts' || file.includes('/src/testing/');

  function checkCall(node: ts.CallExpression): void {
    const callee = node.expression.getText(tree).replace(/^globalThis\./, '');
    if (clockCalls.has(callee) && !ownsTime) {
      breach('time-through-clock', node, `calls ${callee} past the Clock port`);
    } else if (randomCalls.has(callee) && !isDefaultOfOption(node)) {
      breach('randomness-through-argument', node, `calls ${callee}, which no test can hold still`);
    } else if (callee.startsWith('console.')) {
      breach('never-logs', node, `calls ${callee}; a library emits an event instead`);
    }
  }

  visit(tree);
  return { violations, facts };
}

function importedNames(node: ts.ImportDeclaration): string[] {
  const clause = node.importClause;
  const bindings = clause?.namedBindings;
  const names = clause?.name ? [clause.name.text] : [];
  if (bindings && ts.isNamespaceImport(bindings)) names.push(bindings.name.text);
  if (bindings && ts.isNamedImports(bindings)) names.push(...bindings.elements.map(({ name }) => name.text));
  return names;
}

function reexports(node: ts.ExportDeclaration, imported: ReadonlySet<string>): boolean {
  if (node.moduleSpecifier) return true;
  const clause = node.exportClause;
  if (!clause || !ts.isNamedExports(clause)) return false;
  return clause.elements.some(({ name, propertyName }) => imported.has((propertyName ?? name).text));
}

function hasDefaultModifier(node: ts.Node): boolean {
  return (
    ts.canHaveModifiers(node) &&
    (ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword) ?? false)
  );
}

/** Whether the name stands for a value here: it is neither a member of something nor the name of a declaration. */
function isReference(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node;
  if (ts.isBindingElement(parent)) return parent.initializer === node;
  return !('name' in parent && parent.name === node);
}

function isInsideLikeType(node: ts.Node): boolean {
  for (let at = node.parent; at; at = at.parent) {
    if ((ts.isTypeAliasDeclaration(at) || ts.isInterfaceDeclaration(at)) && at.name.text.endsWith('Like'))
      return true;
  }
  return false;
}

/** `options.random ?? (() => Math.random())` and `random = () => Math.random()` leave the choice to the caller. */
function isDefaultOfOption(node: ts.Node): boolean {
  for (let at = node.parent, child: ts.Node = node; at; child = at, at = at.parent) {
    if (ts.isBinaryExpression(at) && at.operatorToken.kind === ts.SyntaxKind.QuestionQuestionToken) {
      return at.right === child;
    }
    if ((ts.isParameter(at) || ts.isBindingElement(at)) && at.initializer === child) return true;
  }
  return false;
}
