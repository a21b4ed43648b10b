import { describe, expect, it } from 'vitest';
import { readChanges } from '../src/presence/presence-change.ts';

describe('what is said on the channel of a tenant', () => {
  it('is read as changes', () => {
    expect(
      readChanges('acme', '["7",[["j","ann\\u0000phone",1,"{\\"busy\\":true}"],["l","bob",0,"leave"]]]'),
    ).toEqual([
      {
        tenant: 'acme',
        version: 6,
        member: 'ann',
        device: 'phone',
        type: 'join',
        alone: true,
        meta: { busy: true },
      },
      { tenant: 'acme', version: 7, member: 'bob', type: 'leave', alone: false, reason: 'leave' },
    ]);
  });

  it.each([
    '',
    'hello',
    'null',
    '7',
    '{}',
    '[]',
    '["7"]',
    '["7",[null]]',
    '["7",["j"]]',
    '["7",[["j",7,0,""]]]',
  ])('is left alone if it is none of ours: %s', (text) => {
    expect(readChanges('acme', text)).toEqual([]);
  });
});
