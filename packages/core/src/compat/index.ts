export { buildCacheHash, type Compat, createCompat } from './compat.ts';
