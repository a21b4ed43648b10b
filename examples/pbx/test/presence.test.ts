import { createHub, createMemoryLog, type EventLog } from '@cachekit/realtime';
import { expect, test, vi } from 'vitest';
import { announceDevices, type DevicePresence } from '../presence.ts';

test('a device that goes while the log does not answer is announced when it does, once (PBX-12)', async () => {
  const memory = createMemoryLog();
  let failures = 2;
  const log: EventLog = {
    ...memory,
    async append(tenant, records) {
      const stored = await memory.append(tenant, records);
      // The answer is lost, and the event is stored.
      if (failures-- > 0) throw new Error('No answer');
      return stored;
    },
  };
  const hub = createHub({ log });
  const start = await memory.position('1');
  const troubles: unknown[] = [];
  const presence: Pick<DevicePresence, 'onChange'> = {
    onChange(tell) {
      const gone = { tenant: '1', version: 1, member: '7', device: 'a', seenAt: 0 } as const;
      tell({ ...gone, type: 'leave', alone: true, reason: 'timeout' });
      return () => {};
    },
  };
  announceDevices(presence, hub, (error) => troubles.push(error));
  await vi.waitFor(() => expect(failures).toBe(-1), { timeout: 20_000 });
  expect(troubles).toHaveLength(2);
  expect(await memory.readAfter('1', start, 10)).toMatchObject({
    state: 'rows',
    rows: [{ type: 'device.offline', body: expect.stringContaining('"deviceId":"7"') }],
  });
  await hub.close();
  await memory.close();
});
