/** One breach of one rule. */
export type Violation = { rule: string; file: string; message: string };
