import type { PolicyMetrics } from '@cachekit/ratelimit';
import { formatCount } from '../format.ts';
import { Card } from './card.tsx';

const meanings: Record<string, string> = {
  api: '3,000 a minute for an account',
  route: '1,200 a minute for each route of it',
  calls: '60 new calls in any minute',
  commands: '10 a minute for a device',
  codes: '20 pairing codes a minute for an address',
};

/** What each limit let pass, and what it refused. */
export function Limits({ limits }: { limits: Readonly<Record<string, PolicyMetrics>> }) {
  return (
    <Card title="Limits" hint="of this process, since it started">
      <table className="limits">
        <thead>
          <tr>
            <th>Policy</th>
            <th className="number">Passed</th>
            <th className="number">Refused</th>
          </tr>
        </thead>
        <tbody>
          {Object.entries(limits).map(([name, { allowed, denied }]) => (
            <tr key={name} data-policy={name}>
              <td className="name">
                {name}
                <small>{meanings[name]}</small>
              </td>
              <td className="number">{formatCount(allowed)}</td>
              <td className="number">{formatCount(denied)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  );
}
