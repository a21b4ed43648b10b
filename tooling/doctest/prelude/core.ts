/** The names an `@example` of `@cachekit/core` may take for granted. */

export function tenantOf(request: Request): string {
  return request.headers.get('x-tenant') ?? 'acme';
}
