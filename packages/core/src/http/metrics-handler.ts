import type { Cache } from '../cache.ts';

/**
 * Makes a fetch-style handler for the metrics of a cache: `GET` gives them as JSON, `DELETE` sets them to zero.
 *
 * It lets in everybody; put your own authentication before it.
 *
 * @example
 * const metrics = metricsHandler(cache);
 * const response = await metrics(new Request('http://localhost/api/v1/cache/metrics'));
 */
export function metricsHandler(
  cache: Pick<Cache, 'metrics' | 'resetMetrics'>,
): (request: Request) => Promise<Response> {
  return async (request) => {
    if (request.method === 'GET') {
      return Response.json(cache.metrics(), { headers: { 'Cache-Control': 'no-store' } });
    }
    if (request.method !== 'DELETE') {
      return new Response(null, { status: 405, headers: { Allow: 'GET, DELETE' } });
    }
    cache.resetMetrics();
    return new Response(null, { status: 204 });
  };
}
