import { useState } from 'react';
import type { Account } from '../api.ts';
import { useLive } from '../live.tsx';
import { send } from '../send.ts';

const words: Record<string, string> = {
  idle: 'Not connected',
  connecting: 'Connecting',
  replaying: 'Catching up',
  live: 'Live',
  stale: 'Checking connection',
  backoff: 'Reconnecting',
  offline: 'Offline',
  denied: 'Not allowed',
  closed: 'Closed',
};

interface HeaderProps {
  accounts: readonly Account[];
  account: string;
  onChoose: (account: string) => void;
}

export function Header({ accounts, account, onChoose }: HeaderProps) {
  const { connection } = useLive();
  return (
    <header className="top">
      <div className="brand">
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <rect width="32" height="32" rx="8" fill="#0f766e" />
          <path
            d="M8 17h4l2-7 4 14 2-7h4"
            fill="none"
            stroke="#fff"
            strokeWidth="2.4"
            strokeLinecap="round"
            strokeLinejoin="round"
          />
        </svg>
        Switchboard
        <small className="hide-narrow">a call centre, live</small>
      </div>
      <span className="pill" data-state={connection} data-testid="connection">
        <i />
        {words[connection] ?? connection}
      </span>
      <nav className="sections" aria-label="Sections">
        <a href="#calls">Calls</a>
        <a href="#devices">Devices</a>
        <a href="#operations">Operations</a>
      </nav>
      <div className="spacer" />
      <PlaceCall account={account} />
      <select
        className="select"
        aria-label="Account"
        value={account}
        onChange={(event) => onChoose(event.target.value)}
      >
        {accounts.map(({ id, name }) => (
          <option key={id} value={id}>
            {name}
          </option>
        ))}
      </select>
    </header>
  );
}

function PlaceCall({ account }: { account: string }) {
  const [refusal, setRefusal] = useState('');
  return (
    <button
      type="button"
      className="button"
      disabled={account === ''}
      title={refusal}
      data-refused={refusal !== ''}
      onClick={() => {
        void send('POST', '/api/calls', account).then(({ error }) => setRefusal(error));
      }}
    >
      {refusal === '' ? 'Place a call' : 'Call refused'}
    </button>
  );
}
