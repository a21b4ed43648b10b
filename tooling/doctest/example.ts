/** A piece of documentation that claims to be a program. */
export type Example = {
  /** Path from the root of the repository. */
  file: string;
  /** Line of the first line of `code` in `file`, from 1. */
  line: number;
  /** What is shown beside the line: the documented symbol, or nothing. */
  title: string;
  code: string;
  /** Code that belongs to the program but not to the page, or names it takes for granted. */
  setup: string;
  /** Whether it is run; it is type-checked in any case. */
  run: boolean;
  jsx: boolean;
};
