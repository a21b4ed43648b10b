/** What the program needs of the process it runs in. */
export interface Host {
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Where paths begin. */
  readonly folder: string;
  /** Tells this process apart, in what the server lists of it. */
  readonly id: string;
  /** Results. */
  print(text: string): void;
  /** Everything else: progress and errors. */
  tell(text: string): void;
  /** What is told is shown by a terminal, which can show one line over another. */
  readonly terminal: boolean;
  /** Calls `stop` when somebody wants the program to end; gives the function that forgets it. */
  onInterrupt(stop: () => void): () => void;
}

/**
 * How the program ends.
 *
 * | code | means                                                                                   |
 * | ---- | --------------------------------------------------------------------------------------- |
 * | 0    | done; `check` and `doctor`: nothing was found                                           |
 * | 1    | `check` or `doctor` has found something, or `apply` would undo what was changed by hand |
 * | 2    | the command line or the configuration is wrong; nothing was done                        |
 * | 3    | the database said no, was not there, or a refresh failed                                |
 */
export type ExitCode = 0 | 1 | 2 | 3;
