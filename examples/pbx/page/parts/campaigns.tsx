import type { CampaignPerformance } from '../api.ts';
import { formatCount, formatPercent } from '../format.ts';
import { useApi } from '../use-api.ts';
import { Card } from './card.tsx';

export function Campaigns() {
  const { data } = useApi<{ campaigns: CampaignPerformance[] }>('campaigns', '/api/campaigns');
  const campaigns = data?.body.campaigns ?? [];
  return (
    <Card title="Campaigns" hint="last 60 days, by answer rate" answer={data}>
      {data && campaigns.length === 0 && <p className="empty">This account has no campaign.</p>}
      {campaigns.length > 0 && (
        <table>
          <thead>
            <tr>
              <th>Campaign</th>
              <th className="hide-narrow">Answer rate</th>
              <th className="number">Rate</th>
              <th className="number">Calls</th>
              <th className="number hide-narrow">Failed</th>
            </tr>
          </thead>
          <tbody>
            {campaigns.map((campaign) => (
              <tr key={campaign.campaignId}>
                <td className="name">{campaign.name}</td>
                <td className="hide-narrow">
                  <div className="meter">
                    <i className="fill" style={{ width: `${campaign.answerRatePercent ?? 0}%` }} />
                  </div>
                </td>
                <td className="number">{formatPercent(campaign.answerRatePercent)}</td>
                <td className="number">{formatCount(campaign.totalCalls)}</td>
                <td className="number hide-narrow">{formatCount(campaign.failedCalls)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Card>
  );
}
