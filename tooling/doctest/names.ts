import ts from 'typescript';

/** Where a name comes from, and whether it is only a type there. */
export type Origin = { module: string; typeOnly: boolean };

function parse(code: string): ts.SourceFile {
  return ts.createSourceFile('example.tsx', code, ts.ScriptTarget.Latest, true, ts.ScriptKind.TS);
}

/** The names that a module exports, with those that are only types marked. Reads `export *` as nothing. */
export function exportedNames(code: string): Map<string, boolean> {
  const names = new Map<string, boolean>();
  for (const statement of parse(code).statements) {
    if (ts.isExportDeclaration(statement)) {
      const clause = statement.exportClause;
      if (!clause || !ts.isNamedExports(clause)) continue;
      for (const { name, isTypeOnly } of clause.elements)
        names.set(name.text, isTypeOnly || statement.isTypeOnly);
    } else if (ts.canHaveModifiers(statement) && isExported(statement)) {
      const typeOnly = ts.isTypeAliasDeclaration(statement) || ts.isInterfaceDeclaration(statement);
      for (const name of declaredBy(statement)) names.set(name, typeOnly);
    }
  }
  return names;
}

/** The names that a program uses and does not declare at its top level. May hold more: parameters, globals. */
export function usedNames(code: string): Set<string> {
  const tree = parse(code);
  const used = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node) && !isOnlyLabel(node)) used.add(node.text);
    ts.forEachChild(node, visit);
  };
  visit(tree);
  for (const statement of tree.statements) for (const name of declaredBy(statement)) used.delete(name);
  return used;
}

function isExported(statement: ts.HasModifiers): boolean {
  return ts.getModifiers(statement)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) ?? false;
}

function isOnlyLabel(node: ts.Identifier): boolean {
  const { parent } = node;
  return (
    (ts.isPropertyAccessExpression(parent) && parent.name === node) ||
    (ts.isPropertyAssignment(parent) && parent.name === node) ||
    (ts.isPropertySignature(parent) && parent.name === node) ||
    (ts.isQualifiedName(parent) && parent.right === node)
  );
}

function declaredBy(statement: ts.Statement): string[] {
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.flatMap(({ name }) => bound(name));
  }
  if (ts.isImportDeclaration(statement)) {
    const clause = statement.importClause;
    const bindings = clause?.namedBindings;
    const names = clause?.name ? [clause.name.text] : [];
    if (bindings && ts.isNamespaceImport(bindings)) names.push(bindings.name.text);
    if (bindings && ts.isNamedImports(bindings))
      names.push(...bindings.elements.map(({ name }) => name.text));
    return names;
  }
  const { name } = statement as ts.DeclarationStatement;
  return name && ts.isIdentifier(name) ? [name.text] : [];
}

function bound(name: ts.BindingName): string[] {
  if (ts.isIdentifier(name)) return [name.text];
  return name.elements.flatMap((element) => (ts.isOmittedExpression(element) ? [] : bound(element.name)));
}
