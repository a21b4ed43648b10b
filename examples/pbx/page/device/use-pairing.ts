import { useEffect, useState } from 'react';
import type { NewCode, PairedDevice, PairingAnswer } from '../api.ts';
import { send } from '../send.ts';

/** Where the device stands on its way to an account. */
export type PairingStep =
  | { name: 'asking' }
  | { name: 'failed'; why: string }
  | { name: 'code'; code: string; expiresAt: Date }
  | { name: 'refused' | 'expired' }
  | { name: 'paired'; device: PairedDevice };

const kept = 'paired-device';
/** Who is told to slow down waits this much longer from then on, as RFC 8628 says. */
const slowerSeconds = 5;

/** Asks for a code under this name, and then what became of it; a device that is paired stays so in its tab. */
export function usePairing(name: string): { step: PairingStep; again: () => void } {
  const [step, setStep] = useState<PairingStep>(remembered);
  const paired = step.name === 'paired';
  const [round, setRound] = useState(0);

  useEffect(() => {
    if (paired) return;
    const leaving = new AbortController();
    pair(name, leaving.signal, setStep).catch(() => setStep({ name: 'failed', why: 'Something went wrong' }));
    return () => leaving.abort();
  }, [name, paired, round]);

  return {
    step,
    again() {
      sessionStorage.removeItem(kept);
      setStep({ name: 'asking' });
      setRound((last) => last + 1);
    },
  };
}

function remembered(): PairingStep {
  const text = sessionStorage.getItem(kept);
  return text === null ? { name: 'asking' } : { name: 'paired', device: JSON.parse(text) as PairedDevice };
}

async function pair(name: string, signal: AbortSignal, tell: (step: PairingStep) => void): Promise<void> {
  const { body: shown, error } = await send<NewCode>('POST', '/api/pairing/codes', '', { name });
  if (signal.aborted) return;
  if (!shown) return tell({ name: 'failed', why: error });
  tell({ name: 'code', code: shown.code, expiresAt: new Date(shown.expiresAt) });

  for (let seconds = shown.intervalSeconds; ; ) {
    await pause(seconds * 1_000 + 50);
    if (signal.aborted) return;
    const answer = await ask(shown.secret);
    if (signal.aborted) return;
    if (answer === undefined) continue;
    if (!('error' in answer)) {
      sessionStorage.setItem(kept, JSON.stringify(answer));
      return tell({ name: 'paired', device: answer });
    }
    if (answer.error === 'slow_down') seconds += slowerSeconds;
    if (answer.error === 'access_denied') return tell({ name: 'refused' });
    if (answer.error === 'expired_token') return tell({ name: 'expired' });
  }
}

/** Nothing if the server could not be asked: the device asks again. */
async function ask(secret: string): Promise<PairingAnswer | undefined> {
  const response = await fetch('/api/pairing/token', {
    method: 'POST',
    body: JSON.stringify({ secret }),
  }).catch(() => undefined);
  if (response?.status !== 200 && response?.status !== 400) return undefined;
  return (await response.json()) as PairingAnswer;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
