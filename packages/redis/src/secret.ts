/** Gives that many random bytes that nobody can guess. */
export type RandomBytes = (count: number) => Uint8Array;

/** 256 random bits in 43 characters `A-Z a-z 0-9 - _`. */
export function newSecret(random: RandomBytes): string {
  return base64Url(random(32));
}

/** What is stored in place of a secret: its SHA-256. Whoever reads Redis cannot use it. */
export async function hashOf(secret: string): Promise<string> {
  return base64Url(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(secret))));
}

function base64Url(bytes: Uint8Array): string {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
