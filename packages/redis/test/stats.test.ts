import { describe, expect, it } from 'vitest';
import { parseInfo } from '../src/info.ts';
import { statsOf } from '../src/stats/redis-stats.ts';

describe('what INFO says', () => {
  it('is read by lines, whatever ends them', () => {
    const fields = parseInfo('# Memory\r\nused_memory:100\r\nexecutable:/bin/a:b\r\n\r\nbroken\r\n');
    expect([...fields]).toEqual([
      ['used_memory', '100'],
      ['executable', '/bin/a:b'],
    ]);
  });

  it('counts memory of the limit, or of the machine, or not at all', () => {
    const percent = (text: string): number | null => statsOf(parseInfo(text)).memory.memoryUsagePercent;
    expect(percent('used_memory:50\nmaxmemory:200\ntotal_system_memory:1000')).toBe(25);
    expect(percent('used_memory:50\nmaxmemory:0\ntotal_system_memory:1000')).toBe(5);
    expect(percent('used_memory:1\nmaxmemory:3')).toBe(33.33);
    expect(percent('used_memory:50')).toBeNull();
  });

  it('is 0 where a hosted server does not tell', () => {
    expect(statsOf(parseInfo('')).stats).toEqual({ connectedClients: 0, hitRate: 0 });
    expect(statsOf(parseInfo('')).memory.usedMemoryHuman).toBe('0B');
  });
});
