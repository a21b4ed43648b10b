/**
 * Something in the database is not as it was applied.
 *
 * | what         | means                                                              |
 * | ------------ | ------------------------------------------------------------------ |
 * | `missing`    | the view is gone                                                   |
 * | `definition` | the view was replaced by another one                               |
 * | `unknown`    | there is a different view of that name that was never applied      |
 * | `index`      | an index is gone or was replaced                                   |
 * | `trigger`    | a trigger that marks the view is gone or disabled                  |
 */
export interface ViewDrift {
  readonly view: string;
  readonly what: 'missing' | 'definition' | 'unknown' | 'index' | 'trigger';
  /** The index, or the table of the trigger. */
  readonly object?: string;
}
