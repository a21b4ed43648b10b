import type { Example } from './example.ts';
import { examplesOfMarkdown } from './markdown.ts';

const docstring = /\/\*\*[\s\S]*?\*\//g;
const declared =
  /^\s*(?:export\s+)?(?:declare\s+|abstract\s+|async\s+)*(?:function\*?|class|const|type|interface)?\s*([\w$]+)/;

/** The `@example` blocks of a source file: plain code, or a fence that may carry the marks of a page's fence. */
export function examplesOfSource(file: string, text: string): Example[] {
  const examples: Example[] = [];
  for (const { 0: comment, index } of text.matchAll(docstring)) {
    const first = text.slice(0, index).split('\n').length;
    const title = declared.exec(text.slice(index + comment.length))?.[1] ?? '';
    const lines = comment
      .replace(/\*\/$/, '')
      .split('\n')
      .map((line) => line.replace(/^\s*\/?\*+ ?/, ''));
    for (let at = 0; at < lines.length; at += 1) {
      if (!lines[at]?.startsWith('@example')) continue;
      const end = lines.findIndex((line, next) => next > at && /^@\w/.test(line));
      const body = lines.slice(at + 1, end < 0 ? lines.length : end).join('\n');
      const line = first + at + 1;
      if (body.includes('```')) {
        const fences = examplesOfMarkdown(file, `${body}\n`);
        examples.push(...fences.map((fence) => ({ ...fence, title, line: fence.line + line - 1 })));
      } else {
        examples.push({ file, line, title, code: `${body.trimEnd()}\n`, setup: '', run: true, jsx: false });
      }
    }
  }
  return examples;
}
