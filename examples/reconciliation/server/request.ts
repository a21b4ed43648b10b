import { Refusal } from './refusal.ts';

/** The office a request speaks for. A real application takes it from its session; here it is a header. */
export function tenantOf(request: Request): string {
  const tenant = request.headers.get('X-Tenant-Id') ?? '';
  if (tenant === '') throw new Refusal(401, 'Give the office in X-Tenant-Id');
  return tenant;
}

/** A parameter of the query, if it is there and of that form. */
export function queryOf(request: Request, name: string, form: RegExp): string | undefined {
  const value = new URL(request.url).searchParams.get(name);
  if (value === null || value === '') return undefined;
  if (!form.test(value)) throw new Refusal(400, `${name} has another form`);
  return value;
}

/** The members of a JSON body. */
export function membersOf(text: string): Record<string, unknown> {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {}
  if (typeof body !== 'object' || body === null) throw new Refusal(400, 'Give an object as JSON');
  return { ...body };
}

/** A member that is a text, as PostgreSQL takes it. */
export function textIn(body: Record<string, unknown>, name: string): string {
  const value = body[name];
  if (typeof value !== 'string' || value === '' || value.includes('\0'))
    throw new Refusal(400, `Give ${name} as text`);
  return value;
}
