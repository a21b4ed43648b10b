import type { Link } from './link.ts';

/** One link of the chain that did not give a server, and why. */
export interface Attempt {
  readonly link: Link;
  readonly reason: string;
}

/** No link of the chain gave this service. The message says what was tried and what to install. */
export class MissingServiceError extends Error {
  readonly service: string;
  readonly tried: readonly Attempt[];

  constructor(service: string, tried: readonly Attempt[], advice: readonly string[]) {
    super(
      [
        `No ${service} could be started. Tried:`,
        ...tried.map(
          ({ link, reason }) => `  ${link.padEnd(8)}  ${reason.replaceAll('\n', '\n            ')}`,
        ),
        'Any one of these helps:',
        ...advice.map((line) => `  - ${line}`),
      ].join('\n'),
    );
    this.name = 'MissingServiceError';
    this.service = service;
    this.tried = tried;
  }
}
