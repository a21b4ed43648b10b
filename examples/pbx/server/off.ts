import type { Context } from 'hono';

/** The answer of a part that needs Redis where there is none. */
export function off(c: Context, part: string): Response {
  return c.json({ error: `${part} needs Redis, and this server runs without it` }, 501);
}
