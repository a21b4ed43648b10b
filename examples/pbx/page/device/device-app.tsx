import { useState } from 'react';
import type { PairedDevice } from '../api.ts';
import { useCommands } from './use-commands.ts';
import { useHeartbeat } from './use-heartbeat.ts';
import { usePairing } from './use-pairing.ts';

/** What a device shows: a code until somebody has agreed, and then what it is told to do. */
export function DeviceApp() {
  const [name] = useState(() => `Browser phone ${Math.floor(100 + 900 * Math.random())}`);
  const { step, again } = usePairing(name);
  return (
    <main className="handset" data-step={step.name}>
      {step.name === 'paired' ? (
        <PairedHandset device={step.device} onForget={again} />
      ) : (
        <>
          <p className="soft">{name}</p>
          {step.name === 'asking' && <p>Asking for a code…</p>}
          {step.name === 'code' && (
            <>
              <p>Type this code into Switchboard, under “Pair a device”:</p>
              <p className="code" data-testid="code">
                {step.code.slice(0, 4)}-{step.code.slice(4)}
              </p>
              <p className="soft">
                Good until {step.expiresAt.toLocaleTimeString('en', { hour: '2-digit', minute: '2-digit' })}.{' '}
                <a href={`/?pair=${step.code}`} target="_blank" rel="noreferrer">
                  Or open it there
                </a>
              </p>
            </>
          )}
          {step.name === 'refused' && <p>Somebody refused this device.</p>}
          {step.name === 'expired' && <p>The code has expired.</p>}
          {step.name === 'failed' && <p role="alert">{step.why}.</p>}
          {(step.name === 'refused' || step.name === 'expired' || step.name === 'failed') && (
            <button type="button" className="button" onClick={again}>
              Another code
            </button>
          )}
        </>
      )}
    </main>
  );
}

const doing: Record<string, string> = {
  ring: 'It rings',
  restart: 'It restarts',
  update: 'It updates itself',
};

function PairedHandset({ device, onForget }: { device: PairedDevice; onForget: () => void }) {
  const [on, setOn] = useState(true);
  const seen = useHeartbeat(device, on);
  const commands = useCommands(device, on);
  return (
    <>
      <span className="pill" data-state={seen ? 'live' : on ? 'connecting' : 'closed'} data-testid="state">
        <i />
        {seen ? 'Online' : on ? 'Connecting' : 'Switched off'}
      </span>
      <p>
        Device <b data-testid="device-id">{device.deviceId}</b> of account {device.account}
      </p>
      <ul className="lines" data-testid="received">
        {commands.length === 0 && <li className="soft">Commands that are sent to it show here.</li>}
        {commands.map(({ command, fencingToken }) => (
          <li key={fencingToken}>
            <span className="grow">{doing[command] ?? command}</span>
            <span className="soft">…{String(fencingToken).slice(-6)}</span>
          </li>
        ))}
      </ul>
      <div className="commands">
        <button type="button" className="button" onClick={() => setOn(!on)}>
          {on ? 'Switch off' : 'Switch on'}
        </button>
        <button type="button" className="button quiet" onClick={onForget}>
          Forget the account
        </button>
      </div>
    </>
  );
}
