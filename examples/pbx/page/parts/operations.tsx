import type { OperationsReport } from '../../operations.ts';
import type { CacheReport } from '../api.ts';
import { useApi } from '../use-api.ts';
import { Alerts } from './alerts.tsx';
import { CacheTable } from './cache-table.tsx';
import { Limits } from './limits.tsx';
import { Servers } from './servers.tsx';

const lookEveryMs = 5_000;

/** What the people who run the application look at. */
export function Operations() {
  const report = useApi<OperationsReport>('operations', '/api/operations', { everyMs: lookEveryMs }).data;
  const metrics = useApi<CacheReport>('cache', '/api/v1/cache/metrics', { everyMs: lookEveryMs }).data;
  return (
    <div className="grid">
      <div className="column">
        <CacheTable metrics={metrics} advice={report?.body.advice ?? []} />
        <Servers metrics={metrics?.body} pool={report?.body.pool} />
      </div>
      <div className="column">
        <Alerts alerts={report?.body.alerts ?? []} notices={report?.body.notices ?? []} />
        <Limits limits={report?.body.limits ?? {}} />
      </div>
    </div>
  );
}
