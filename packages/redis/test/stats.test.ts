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
    const percent = (text: string): number | null => statsOf([parseInfo(text)]).memory.memoryUsagePercent;
    expect(percent('used_memory:50\nmaxmemory:200\ntotal_system_memory:1000')).toBe(25);
    expect(percent('used_memory:50\nmaxmemory:0\ntotal_system_memory:1000')).toBe(5);
    expect(percent('used_memory:1\nmaxmemory:3')).toBe(33.33);
    expect(percent('used_memory:50')).toBeNull();
  });

  it('is 0 where a hosted server does not tell', () => {
    expect(statsOf([parseInfo('')]).stats).toEqual({ connectedClients: 0, hitRate: 0 });
    expect(statsOf([parseInfo('')]).memory.usedMemoryHuman).toBe('0B');
  });

  it('is that of all masters, of which the fullest says how much of the memory is used', () => {
    const infos = [
      'used_memory:1048576\nmaxmemory:2097152\nconnected_clients:2\nkeyspace_hits:3\nkeyspace_misses:1',
      'used_memory:524288\nmaxmemory:524289\nconnected_clients:3\nkeyspace_hits:0\nkeyspace_misses:2',
      'used_memory:1000\nconnected_clients:1',
    ].map(parseInfo);
    expect(statsOf(infos)).toEqual({
      memory: { usedMemoryHuman: '1.50M', usedMemoryBytes: 1_573_864, memoryUsagePercent: 100 },
      stats: { connectedClients: 6, hitRate: 50 },
    });
  });

  it.each([
    [1_023, '1023B'],
    [1_024, '1.00K'],
    [2_621_440, '2.50M'],
    [5 * 1024 ** 3, '5.00G'],
    [3 * 1024 ** 5, '3072.00T'],
  ])('writes %i bytes as Redis does', (bytes, text) => {
    expect(statsOf([parseInfo(`used_memory:${bytes}`)]).memory.usedMemoryHuman).toBe(text);
  });
});
