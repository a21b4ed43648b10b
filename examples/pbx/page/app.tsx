import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import type { Account } from './api.ts';
import { LiveProvider } from './live.tsx';
import { CallList } from './parts/call-list.tsx';
import { Campaigns } from './parts/campaigns.tsx';
import { DailyTotals } from './parts/daily-totals.tsx';
import { Devices } from './parts/devices.tsx';
import { Header } from './parts/header.tsx';
import { History } from './parts/history.tsx';
import { JourneyCard } from './parts/journey-card.tsx';
import { LiveCounters } from './parts/live-counters.tsx';
import { Operations } from './parts/operations.tsx';
import { Tiles } from './parts/tiles.tsx';
import { TopDevices } from './parts/top-devices.tsx';
import { getJson } from './use-api.ts';

export function App() {
  const [chosen, setChosen] = useState(() => new URLSearchParams(location.search).get('account') ?? '');
  const accounts = useQuery({
    queryKey: ['accounts'],
    queryFn: () => getJson<{ accounts: Account[] }>('/api/accounts', ''),
  });
  const list = accounts.data?.body.accounts ?? [];
  const account = chosen || (list[0]?.id ?? '');

  return (
    <LiveProvider account={account} key={account}>
      <div className="shell">
        <Header accounts={list} account={account} onChoose={setChosen} />
        {accounts.isError && (
          <p className="error" role="alert">
            The server does not answer. The page tries again by itself.
          </p>
        )}
        <Tiles />
        <main>
          <div className="grid" id="calls">
            <div className="column">
              <DailyTotals />
              <LiveCounters />
              <Campaigns />
              <TopDevices />
            </div>
            <div className="column">
              <JourneyCard />
              <CallList />
              <History />
            </div>
          </div>
          <h1 id="devices">Devices</h1>
          <Devices />
          <h1 id="operations">Operations</h1>
          <Operations />
        </main>
      </div>
    </LiveProvider>
  );
}
