import type { Example } from './example.ts';

const block = /^<!-- doctest\n([\s\S]*?)^-->|^```(\w+)([^\n]*)\n([\s\S]*?)^```/gm;

/**
 * The `ts` and `tsx` fences of a page, each a program of its own.
 *
 * Words after the language: `no-run` for what needs more than this repository starts; `continued` for the next piece of
 * the program above; `not-a-program` for a fence that is no TypeScript file at all, such as a signature. Lines that a
 * program needs and a reader does not stand above its fence in a comment: `<!-- doctest` ... `-->`.
 */
export function examplesOfMarkdown(file: string, text: string): Example[] {
  const examples: Example[] = [];
  let setup = '';
  for (const match of text.matchAll(block)) {
    const [whole, hidden, language, words = '', code = ''] = match;
    if (hidden !== undefined) {
      setup = hidden;
      continue;
    }
    if (language !== 'ts' && language !== 'tsx') continue;
    const marks = words.trim().split(/\s+/);
    if (marks.includes('not-a-program')) continue;
    const unknown = marks.filter((mark) => mark !== '' && mark !== 'no-run' && mark !== 'continued');
    const line = text.slice(0, match.index).split('\n').length + 1;
    if (unknown.length > 0)
      throw new Error(`${file}:${line - 1}: unknown mark ${unknown.join(', ')} on a fence`);
    const above = examples.at(-1);
    const before = marks.includes('continued') && above ? `${above.setup}${above.code}` : '';
    examples.push({
      file,
      line,
      title: '',
      code,
      setup: before + setup,
      run: !marks.includes('no-run') && language === 'ts',
      jsx: language === 'tsx',
    });
    setup = '';
    if (whole.length === 0) break;
  }
  return examples;
}
