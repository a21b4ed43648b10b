import type { Context } from 'hono';

/** A member of the JSON body that is text, as PostgreSQL takes it; empty if there is none. */
export async function textOf(c: Context, name: string): Promise<string> {
  const body: unknown = await c.req.json().catch(() => undefined);
  const value = typeof body === 'object' && body !== null ? Reflect.get(body, name) : undefined;
  return typeof value === 'string' && !value.includes('\0') ? value.trim() : '';
}
