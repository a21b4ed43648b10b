import ts from 'typescript';

/**
 * Turns `expression; // 'value'` into an assertion that the expression gives that value.
 *
 * Only a comment that is a literal and nothing else is a claim; a comment in words stays a comment, and so does a value
 * that is shortened with `...`.
 */
export function assertClaims(code: string): string {
  const tree = ts.createSourceFile('example.ts', code, ts.ScriptTarget.Latest, true);
  let asserted = '';
  let copied = 0;
  for (const statement of tree.statements) {
    if (!ts.isExpressionStatement(statement)) continue;
    const comment = ts.getTrailingCommentRanges(code, statement.end)?.[0];
    const claim = comment && code.slice(comment.pos, comment.end).replace(/^\/\/\s*/, '');
    if (!claim || claim.includes('...') || !isLiteral(claim)) continue;
    const { pos, end } = statement.expression;
    const begin = pos + (/^\s*(?:\/\/.*\n\s*)*/.exec(code.slice(pos, end))?.[0].length ?? 0);
    asserted += `${code.slice(copied, begin)}expect(${code.slice(begin, end)}).toEqual(${claim})`;
    copied = end;
  }
  return asserted + code.slice(copied);
}

function isLiteral(text: string): boolean {
  const tree = ts.createSourceFile('claim.ts', `(${text}\n)`, ts.ScriptTarget.Latest, true);
  const [statement] = tree.statements;
  if (tree.statements.length !== 1 || !statement || !ts.isExpressionStatement(statement)) return false;
  if ((tree as unknown as { parseDiagnostics: unknown[] }).parseDiagnostics.length > 0) return false;
  return isValue(statement.expression);
}

function isValue(node: ts.Expression): boolean {
  if (ts.isParenthesizedExpression(node)) return isValue(node.expression);
  if (ts.isPrefixUnaryExpression(node)) return isValue(node.operand);
  if (ts.isArrayLiteralExpression(node)) return node.elements.every(isValue);
  if (ts.isObjectLiteralExpression(node)) {
    return node.properties.every(
      (property) => ts.isPropertyAssignment(property) && isValue(property.initializer),
    );
  }
  return (
    ts.isLiteralExpression(node) ||
    [ts.SyntaxKind.TrueKeyword, ts.SyntaxKind.FalseKeyword, ts.SyntaxKind.NullKeyword].includes(node.kind) ||
    (ts.isIdentifier(node) && node.text === 'undefined')
  );
}
