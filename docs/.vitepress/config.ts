import { existsSync, readFileSync } from 'node:fs';
import { type DefaultTheme, defineConfig } from 'vitepress';

const reference = new URL('../api/typedoc-sidebar.json', import.meta.url);

/** Written by typedoc just before the site is built; absent when only the pages are looked at. */
function referenceSidebar(): DefaultTheme.SidebarItem[] {
  return existsSync(reference)
    ? (JSON.parse(readFileSync(reference, 'utf8')) as DefaultTheme.SidebarItem[])
    : [];
}

const packages = ['core', 'redis', 'pg-matviews', 'realtime', 'ratelimit'];

export default defineConfig({
  title: 'CacheKit',
  description: 'Committed changes of PostgreSQL, through the cache, to the browser of the right tenant',
  cleanUrls: true,
  // The search index of the whole reference is one chunk, loaded when somebody searches.
  vite: { build: { chunkSizeWarningLimit: 2000 } },
  themeConfig: {
    search: { provider: 'local' },
    nav: [
      { text: 'Getting started', link: '/getting-started' },
      { text: 'Reference', link: '/api/' },
      { text: 'Errors', link: '/errors' },
    ],
    sidebar: [
      { text: 'Getting started', link: '/getting-started' },
      { text: 'Beside other libraries', link: '/comparison' },
      { text: 'What is promised', link: '/promises' },
      {
        text: 'The cache',
        items: [
          { text: 'How a read works', link: '/how-a-read-works' },
          { text: 'Keys', link: '/keys' },
          { text: 'Tags', link: '/tags' },
          { text: 'Choosing a policy', link: '/choosing-a-policy' },
          { text: 'When something fails', link: '/failure' },
          { text: 'How memory stays right', link: '/coherence' },
          { text: 'Over HTTP', link: '/http' },
          { text: 'Metrics and alerts', link: '/metrics' },
          { text: 'Codecs', link: '/codecs' },
          { text: 'From another cache', link: '/migrating-caches' },
        ],
      },
      {
        text: 'Views',
        items: [
          { text: 'Which kind of view', link: '/which-kind' },
          { text: 'How fresh, how exact', link: '/fresh-exact-price' },
          { text: 'Views in layers', link: '/layers' },
          { text: 'Running views in production', link: '/running-views' },
          { text: 'A copy in another database', link: '/etl' },
          { text: 'Command line', link: '/cli' },
          { text: 'Doctor', link: '/doctor' },
        ],
      },
      {
        text: 'Limits',
        items: [
          { text: 'Which algorithm do I want?', link: '/ratelimit-algorithms' },
          { text: 'From another rate limiter', link: '/migrating-rate-limiters' },
        ],
      },
      {
        text: 'Redis',
        items: [
          { text: 'Locks, sessions, presence', link: '/locks-sessions-presence' },
          { text: 'Permissions in Redis', link: '/redis-acl' },
        ],
      },
      { text: 'Packages', items: packages.map((name) => ({ text: name, link: `/packages/${name}` })) },
      { text: 'Errors', link: '/errors' },
      {
        text: 'Decisions',
        items: [{ text: '1 Cursor by snapshot difference', link: '/adr/0001-cursor-by-snapshot-difference' }],
      },
      { text: 'Reference', collapsed: true, items: referenceSidebar() },
    ],
  },
});
