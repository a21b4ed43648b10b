/** What `--help` prints. */
export const help: string = `cachekit-views: PostgreSQL views as code

  cachekit-views plan                    what apply would do
  cachekit-views apply                   bring the database to the definitions, all or nothing
  cachekit-views check                   what somebody changed by hand since
  cachekit-views refresh [view ...]      refresh these views, or all
  cachekit-views status [view ...]       how fresh they are, what waits, what failed or was slow
  cachekit-views doctor                  what is wrong with this database, why, and the SQL that mends it
  cachekit-views explain [view ...]      how a refresh reads its tables, and which index would help
  cachekit-views generate [sql]          one script of what apply would run
  cachekit-views generate kysely         the same as a migration of Kysely
  cachekit-views generate types          types of the applied views, as a Kysely database

All commands
  -c, --config <file>     exports the views; cachekit-views.config.ts (or .mts, .js, .mjs, .cjs) unless told
      --json              one JSON value in place of text
  -h, --help

plan, apply, generate
      --prune             drop views that are defined no more
      --drift <what>      "replace" puts back what was changed by hand; "refuse" unless told
  -o, --out <file>        of generate: write there
check
      --pending           definitions that wait to be applied count too
refresh
      --where <key=value> of a rollup: groups with that value; may be repeated
      --marked            only what is not fresh
      --reconcile         of a rollup: compare all groups, and heal those that are wrong
      --timeout <time>    of one refresh, 1h unless told
doctor
      --role <name>       who refreshes, if that is not who asks
      --patience <time>   from when on something has waited for too long, 10m unless told
      --ignore <defects>  separated by commas; may be repeated

The database is that of DATABASE_URL, or of PGHOST and its like. The client is the \`pg\` of your project.

Exit code: 0 done, nothing found; 1 something was found; 2 wrong command line or configuration; 3 the database failed.
`;
