/** The account a request speaks for. A real application takes it from its session; here it is a header. */
export function accountOf(request: Request): string | undefined {
  const account = request.headers.get('X-Account-Id') ?? '';
  return /^[1-9]\d{0,17}$/.test(account) ? account : undefined;
}

/** The account of a request that has passed `requireAccount`. */
export function knownAccount(request: Request): string {
  const account = accountOf(request);
  if (account === undefined) throw new Error('The request passed without an account');
  return account;
}
