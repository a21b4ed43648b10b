import { fork } from 'node:child_process';

/** A process that begins when all others do too. */
export interface StartedProcess<Result> {
  /** It has connected, and waits for the moment. */
  readonly ready: Promise<void>;
  /** @param begin - By the clock of the machine, in milliseconds. */
  run(begin: number): Promise<Result>;
}

/**
 * Starts a program that gets its task as JSON in its first argument, says `ready`, gets the moment to begin, and answers with
 * its result.
 */
export function startProcess<Task, Result>(file: string, task: Task): StartedProcess<Result> {
  const child = fork(file, [JSON.stringify(task)], { execArgv: ['--conditions=@cachekit/source'] });
  const ready = Promise.withResolvers<void>();
  const result = Promise.withResolvers<Result>();
  child.on('message', (message) => {
    if (message === 'ready') ready.resolve();
    else result.resolve(message as Result);
  });
  const failed = (reason: unknown): void => {
    ready.reject(reason);
    result.reject(reason);
  };
  child.on('error', failed);
  child.on('exit', (code) => failed(new Error(`A process of the bench ended with ${code}`)));
  return {
    ready: ready.promise,
    run(begin) {
      child.send(begin);
      return result.promise;
    },
  };
}
