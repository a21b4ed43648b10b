import { afterEach, expect, test, vi } from 'vitest';
import { allowedLinks, type Chain, firstOf } from '../chain.ts';
import { MissingServiceError } from '../index.ts';
import { LinkUnavailable } from '../link.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

const refusing = (reason: string) => async (): Promise<string> => {
  throw new LinkUnavailable(reason);
};

function chain(links: Chain<string>['links']): Chain<string> {
  return { service: 'Sample', links, advice: ['install the sample', 'set SAMPLE_URL'] };
}

test('the links are tried in their order, and the first that works ends the search', async () => {
  vi.stubEnv('CACHEKIT_SERVICES', '');
  const asked: string[] = [];
  const link = (name: string, works: boolean) => async (): Promise<string> => {
    asked.push(name);
    if (!works) throw new LinkUnavailable(`no ${name}`);
    return name;
  };
  const server = await firstOf(
    chain({
      download: link('download', true),
      embedded: link('embedded', true),
      docker: link('docker', false),
      path: link('path', false),
      env: link('env', false),
    }),
  );
  expect(server).toBe('embedded');
  expect(asked).toEqual(['env', 'path', 'docker', 'embedded']);
});

test('a missing service is one error that says what was tried and what to install', async () => {
  vi.stubEnv('CACHEKIT_SERVICES', '');
  const error = await firstOf(
    chain({ env: refusing('SAMPLE_URL is not set'), path: refusing('no sample on PATH\nnor elsewhere') }),
  ).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(MissingServiceError);
  expect(error).toMatchObject({
    name: 'MissingServiceError',
    service: 'Sample',
    tried: [
      { link: 'env', reason: 'SAMPLE_URL is not set' },
      { link: 'path', reason: 'no sample on PATH\nnor elsewhere' },
    ],
  });
  expect((error as Error).message).toBe(
    [
      'No Sample could be started. Tried:',
      '  env       SAMPLE_URL is not set',
      '  path      no sample on PATH',
      '            nor elsewhere',
      'Any one of these helps:',
      '  - install the sample',
      '  - set SAMPLE_URL',
    ].join('\n'),
  );
});

test('CACHEKIT_SERVICES forces links, and the message says which ones it left out', async () => {
  vi.stubEnv('CACHEKIT_SERVICES', 'download');
  const path = vi.fn<() => Promise<string>>();
  await expect(firstOf(chain({ path, download: refusing('no apt') }))).rejects.toThrow(
    'path      left out by CACHEKIT_SERVICES=download',
  );
  expect(path).not.toHaveBeenCalled();
});

test('a server that is there but fails to start is a failure, not a reason to try another way', async () => {
  vi.stubEnv('CACHEKIT_SERVICES', '');
  const download = vi.fn<() => Promise<string>>();
  const path = async (): Promise<string> => {
    throw new Error('it crashed');
  };
  await expect(firstOf(chain({ path, download }))).rejects.toThrow('it crashed');
  expect(download).not.toHaveBeenCalled();
});

test('CACHEKIT_SERVICES takes several links in any order, and refuses one that does not exist', () => {
  expect(allowedLinks('')).toEqual(['env', 'path', 'docker', 'embedded', 'download']);
  expect(allowedLinks('download, path')).toEqual(['path', 'download']);
  expect(() => allowedLinks('podman')).toThrow(
    'CACHEKIT_SERVICES: unknown link "podman"; it takes env, path, docker, embedded, download',
  );
});
