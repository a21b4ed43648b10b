import { ArgumentError, ConfigurationError } from '../errors.ts';

/**
 * The part of a schema of any library that keeps to Standard Schema (Zod, Valibot, ArkType, ...) that is used here.
 *
 * @see https://standardschema.dev
 */
export interface StandardSchemaV1<Output = unknown> {
  /** Where Standard Schema keeps what every library has. */
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    /** Says whether a value fits, and what it becomes. */
    readonly validate: (value: unknown) => StandardResultV1<Output> | Promise<StandardResultV1<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}

/** What a schema says of a value: what it becomes, or why it does not fit. */
export type StandardResultV1<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssueV1[] };

/** One reason why a value does not fit. */
export interface StandardIssueV1 {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/**
 * The function that checks what was stored for a resource; none without a schema.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` for a schema that is none. What it gives throws ArgumentError
 * `INVALID_ARGUMENT` for a value that does not fit and cannot be migrated.
 */
export function schemaCheck(
  where: string,
  resource: string,
  schema: StandardSchemaV1 | undefined,
  migrate: ((stored: unknown) => unknown) | undefined,
): ((stored: unknown) => unknown) | undefined {
  if (migrate !== undefined && (typeof migrate !== 'function' || schema === undefined)) {
    throw new ConfigurationError(`${where}: migrate is a function beside a schema`);
  }
  if (schema === undefined) return undefined;
  const standard = schema?.['~standard'];
  if (typeof standard?.validate !== 'function') {
    throw new ConfigurationError(`${where}: schema takes a Standard Schema; got ${String(schema)}`);
  }
  const validate = (value: unknown): StandardResultV1<unknown> => {
    const result = standard.validate(value);
    if (result instanceof Promise) {
      // Whatever it comes to is not waited for, nor may it be unhandled.
      result.catch(() => undefined);
      throw new ArgumentError(
        `The schema of "${resource}" answers in a promise; stored values are checked at once`,
      );
    }
    return result;
  };
  return (stored) => {
    let result = validate(stored);
    if (result.issues !== undefined && migrate !== undefined) result = validate(migrate(stored));
    if (result.issues === undefined) return result.value;
    throw new ArgumentError(
      `What was stored for "${resource}" does not fit its schema: ${result.issues.map(issueText).join('; ')}`,
    );
  };
}

function issueText({ message, path = [] }: StandardIssueV1): string {
  const place = path.map((part) => String(typeof part === 'object' ? part.key : part)).join('.');
  return place === '' ? message : `${place}: ${message}`;
}
