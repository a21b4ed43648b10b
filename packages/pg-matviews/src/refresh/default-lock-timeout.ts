/**
 * Milliseconds that a refresh waits for a lock, unless it is told. More than the second (`deadlock_timeout`) after which
 * PostgreSQL ends an autovacuum that is in the way: whoever gives up with it meets the same one again.
 */
export const defaultLockTimeout = 1_500;
