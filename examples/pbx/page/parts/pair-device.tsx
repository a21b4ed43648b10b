import { type FormEvent, useState } from 'react';
import type { PairedDevice } from '../api.ts';
import { useLive } from '../live.tsx';
import { send } from '../send.ts';
import { Card } from './card.tsx';

/** Nothing yet, a device that is claimed and waits for a yes or no, or what came of it. */
type Step =
  | { name: 'code'; said: string; wrong: boolean }
  | { name: 'claimed'; device: string }
  | { name: 'working' };

/** A device shows a code; whoever types it here sees what it is, and agrees or refuses. */
export function PairDevice({ off }: { off: boolean }) {
  const { account } = useLive();
  // What a QR code on the device would hold: the address of this page with the code.
  const [code, setCode] = useState(() => new URLSearchParams(location.search).get('pair') ?? '');
  const [step, setStep] = useState<Step>({ name: 'code', said: '', wrong: false });

  const claim = async (): Promise<void> => {
    setStep({ name: 'working' });
    const { body, error } = await send<{ name: string }>('POST', '/api/pairing/claim', account, { code });
    setStep(body ? { name: 'claimed', device: body.name } : { name: 'code', said: error, wrong: true });
  };

  const decide = async (device: string, decision: 'confirm' | 'deny'): Promise<void> => {
    setStep({ name: 'working' });
    const { body, error } = await send<PairedDevice>('POST', `/api/pairing/${decision}`, account, { code });
    const done = decision === 'confirm' ? `${device} has joined.` : `${device} was refused.`;
    setStep({ name: 'code', said: body ? done : error, wrong: body === undefined });
    if (body) setCode('');
  };

  return (
    <Card title="Pair a device" hint="by a code" off={off}>
      {step.name === 'claimed' ? (
        <div className="pairing">
          <p>
            <b>{step.device}</b> wants to join this account.
          </p>
          <button type="button" className="button" onClick={() => void decide(step.device, 'confirm')}>
            Agree
          </button>
          <button type="button" className="button quiet" onClick={() => void decide(step.device, 'deny')}>
            Refuse
          </button>
        </div>
      ) : (
        <form
          className="pairing"
          onSubmit={(event: FormEvent) => {
            event.preventDefault();
            void claim();
          }}
        >
          <input
            aria-label="Code on the device"
            placeholder="XXXX-XXXX"
            autoComplete="off"
            spellCheck={false}
            value={code}
            onChange={(event) => setCode(event.target.value.toUpperCase())}
          />
          <button type="submit" className="button" disabled={step.name === 'working' || code.trim() === ''}>
            Look it up
          </button>
          <output data-denied={step.name === 'code' && step.wrong}>
            {step.name === 'code' && step.said !== '' ? (
              step.said
            ) : (
              <>
                No device at hand?{' '}
                <a href="/device.html" target="_blank" rel="noreferrer">
                  Open one in another tab
                </a>
                .
              </>
            )}
          </output>
        </form>
      )}
    </Card>
  );
}
