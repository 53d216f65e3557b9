const token =
  /[\t\n\r ]*(?:(?<mark>[[\]{},:])|(?<string>"(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*")|(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.+-]))/y;

/**
 * Finds the first syntax error of a JSON text: line and column from 1, or null. Quotes nothing, unlike the error of
 * `JSON.parse`, which may show a secret.
 */
export function jsonSyntaxError(text: string): { line: number; column: number } | null {
  const open: string[] = [];
  /** Kinds of token that may follow: v(alue), k(ey), :, comma, e(nd of the innermost bracket). */
  let expected = 'v';
  for (let at = 0; ; at = token.lastIndex) {
    token.lastIndex = at;
    const groups: Record<string, string | undefined> = token.exec(text)?.groups ?? {};
    const { mark = '', string } = groups;
    const inside = open.at(-1);
    const matched = token.lastIndex > 0;
    if (!matched && expected === '' && /^[\t\n\r ]*$/.test(text.slice(at))) return null;
    if (!matched) return positionOf(text, at);
    if (mark !== '' && mark === { '{': '}', '[': ']' }[inside ?? ''] && expected.includes('e')) open.pop();
    else if ((mark === '{' || mark === '[') && expected.includes('v')) {
      open.push(mark);
      expected = mark === '{' ? 'ke' : 've';
      continue;
    } else if (mark === ',' && expected.includes(',')) {
      expected = inside === '{' ? 'k' : 'v';
      continue;
    } else if (mark === ':' && expected === ':') {
      expected = 'v';
      continue;
    } else if (string !== undefined && expected.includes('k')) {
      expected = ':';
      continue;
    } else if (mark !== '' || !expected.includes('v')) return positionOf(text, at);
    expected = open.length > 0 ? ',e' : '';
  }
}

/** The position of the first character that is no white space. */
function positionOf(text: string, from: number): { line: number; column: number } {
  const before = text.slice(0, from) + (/^[\t\n\r ]*/.exec(text.slice(from))?.[0] ?? '');
  const lines = before.split('\n');
  return { line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 };
}
