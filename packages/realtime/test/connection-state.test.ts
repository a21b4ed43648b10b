import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backoffMs, retryAfterMs } from '../src/client/backoff.ts';
import { type ConnectionEvent, type ConnectionState, transitions } from '../src/client/connection-state.ts';

const states = Object.keys(transitions) as ConnectionState[];
const events = Object.keys(transitions.idle) as ConnectionEvent[];

describe('the states of a client', () => {
  it('say for every state and every event what follows', () => {
    expect(states).toHaveLength(9);
    for (const state of states) {
      expect(Object.keys(transitions[state]).sort()).toEqual([...events].sort());
      for (const event of events) expect(states).toContain(transitions[state][event]);
    }
  });

  it('end closed by close, from everywhere, and closed and denied are left by connect alone', () => {
    for (const state of states) expect(transitions[state].close).toBe('closed');
    for (const state of ['closed', 'denied'] as const) {
      for (const event of events) {
        if (event === 'connect') expect(transitions[state][event]).toBe('connecting');
        else if (event !== 'close') expect(transitions[state][event]).toBe(state);
      }
    }
  });

  it('are live only after a stream has opened and caught up', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...events), { maxLength: 40 }), (sequence) => {
        let state: ConnectionState = 'idle';
        for (const event of sequence) {
          const next: ConnectionState = transitions[state][event];
          if (next === 'live' && state !== 'live') {
            expect(event).toBe('caughtUp');
            expect(['connecting', 'replaying']).toContain(state);
          }
          state = next;
        }
      }),
    );
  });
});

describe('the wait between attempts', () => {
  it('is full jitter under a cap that comes first: always between 0 and the cap, and spread at the cap', () => {
    const range = { minMs: 500, maxMs: 30_000 };
    expect([0, 1, 2, 5, 6, 60].map((failures) => backoffMs(range, failures, () => 1))).toEqual([
      500, 1_000, 2_000, 16_000, 30_000, 30_000,
    ]);
    expect(backoffMs(range, 60, () => 0)).toBe(0);
    expect(backoffMs(range, 60, () => 0.5)).toBe(15_000);
  });

  it('is never shorter than what the server asked for, and never hours', () => {
    const range = { minMs: 500, maxMs: 30_000 };
    expect(backoffMs(range, 3, () => 0, 7_000)).toBe(7_000);
    expect(backoffMs(range, 0, () => 1, 7_000)).toBe(7_500);
    expect(backoffMs(range, 0, () => 0, 86_400_000)).toBe(300_000);
  });

  it('reads Retry-After as seconds and as a date, and nothing out of garbage', () => {
    const now = Date.parse('2026-01-01T00:00:00Z');
    expect(retryAfterMs('120', now)).toBe(120_000);
    expect(retryAfterMs('Thu, 01 Jan 2026 00:00:10 GMT', now)).toBe(10_000);
    expect(retryAfterMs('Thu, 01 Jan 2020 00:00:10 GMT', now)).toBe(0);
    expect([retryAfterMs(null, now), retryAfterMs('soon', now)]).toEqual([0, 0]);
  });
});
