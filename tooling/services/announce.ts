/** Services that were announced already: kept in the environment, so that the workers of a test run know too. */
const variable = 'CACHEKIT_SERVICES_ANNOUNCED';

/** Prints to stderr, once per run and service, where the service comes from. */
export function announce(service: string, origin: string): void {
  const told = (process.env[variable] ?? '').split(',');
  if (told.includes(service)) return;
  process.env[variable] = [...told, service].filter((name) => name !== '').join(',');
  process.stderr.write(`services: ${service} from ${origin}\n`);
}
