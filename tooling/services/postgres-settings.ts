/** For tests: nothing survives the machine, all else is as in production; logical decoding is possible. */
export const postgresSettings: readonly string[] = [
  'max_connections=300',
  'wal_level=logical',
  'fsync=off',
  'full_page_writes=off',
  // Containers often have a /dev/shm too small for parallel queries, and a killed server would leave files there.
  'dynamic_shared_memory_type=mmap',
];
