import { MemoryRemote, memoryRemoteTier, remoteTierSuite } from '../src/testing/index.ts';

remoteTierSuite('memoryRemoteTier()', async () => {
  const remote = new MemoryRemote();
  return {
    namespace: 'ck',
    open: () => memoryRemoteTier({ remote }),
    write: async (key, text) => remote.put(key, text),
    evict: async (key) => {
      remote.remove(key);
      remote.forgetTag(key);
    },
    close: async () => {},
  };
});
