import type { SqlExecutor } from '@cachekit/core';

/** Tells of every statement before it is sent, such as to a log. */
export function toldSql(sql: SqlExecutor, tell: (statement: string) => void): SqlExecutor {
  return {
    query(statement, parameters) {
      tell(statement);
      return sql.query(statement, parameters);
    },
    transaction: (work) => sql.transaction((inside) => work(toldSql(inside, tell))),
  };
}
