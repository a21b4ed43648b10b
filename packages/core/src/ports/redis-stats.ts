/** What a Redis says of itself, as far as it is worth watching; of a cluster, the sum of its masters. */
export interface RedisStats {
  readonly memory: {
    /** Such as `"2.50M"`. */
    readonly usedMemoryHuman: string;
    readonly usedMemoryBytes: number;
    /**
     * Of `maxmemory`, or of the machine's memory where there is no limit; `null` if the server tells neither. Of a cluster,
     * that of the fullest master.
     */
    readonly memoryUsagePercent: number | null;
  };
  readonly stats: {
    readonly connectedClients: number;
    /** Of 100 look-ups of keys, how many found one, since the server started; 0 before the first. */
    readonly hitRate: number;
  };
}

/** Asks the server; rejects if it does not answer. */
export type RedisStatsSource = () => Promise<RedisStats>;
