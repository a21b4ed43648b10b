/** The five characters by which PostgreSQL classifies an error, if the driver passes them on. */
export function sqlState(error: unknown): string | undefined {
  const code = typeof error === 'object' && error !== null ? (error as { code?: unknown }).code : undefined;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

/** Whether somebody else's lock was in the way: `lock_not_available` or `deadlock_detected`. */
export function isLockConflict(error: unknown): boolean {
  const state = sqlState(error);
  return state === '55P03' || state === '40P01';
}
