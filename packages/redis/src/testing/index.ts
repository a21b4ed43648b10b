export { startUpstashServer, type UpstashServer, type UpstashServerOptions } from './upstash-server.ts';
