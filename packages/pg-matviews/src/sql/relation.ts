import { quoteQualified } from '@cachekit/core/postgres';

/** `"schema"."name"` */
export function relationSql(schema: string, name: string): string {
  return quoteQualified({ schema, name });
}
