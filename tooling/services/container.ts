import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { LinkUnavailable } from './link.ts';

/** One container with one published port, which it keeps over a restart. */
export interface ServiceContainer {
  readonly host: string;
  readonly port: number;
  kill(signal: NodeJS.Signals): Promise<void>;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** What the container runs. */
export interface ContainerOptions {
  readonly image: string;
  readonly port: number;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Whether the service answers at this address; asked again until it does, at start and after a restart. */
  readonly answers: (host: string, port: number) => Promise<boolean>;
}

/**
 * Whether there is any sign of a container engine. Asking for one in earnest means loading testcontainers, which
 * takes a third of a second, so it is asked only where the answer may be yes.
 */
function engineIsLikely(): boolean {
  if ((process.env.DOCKER_HOST ?? '') !== '') return true;
  const runtime = process.env.XDG_RUNTIME_DIR ?? `/run/user/${process.getuid?.() ?? 0}`;
  const home = homedir();
  return [
    '/var/run/docker.sock',
    join(runtime, 'docker.sock'),
    join(home, '.docker/run/docker.sock'),
    join(home, '.docker/desktop/docker.sock'),
    join(home, '.testcontainers.properties'),
  ].some((path) => existsSync(path));
}

/** Why no container can be started here; undefined when an engine answers. */
export async function engineRefusal(): Promise<string | undefined> {
  if (!engineIsLikely()) return 'no container engine (neither DOCKER_HOST nor a socket of Docker)';
  const { getContainerRuntimeClient } = await import('testcontainers');
  return getContainerRuntimeClient().then(
    () => undefined,
    () => 'a container engine is set up, but it does not answer',
  );
}

/**
 * Starts a container by testcontainers, which removes it when this process ends.
 *
 * @throws LinkUnavailable when no engine answers, or the image can neither be found nor pulled.
 */
export async function startContainer(options: ContainerOptions): Promise<ServiceContainer> {
  const refusal = await engineRefusal();
  if (refusal !== undefined) throw new LinkUnavailable(refusal);
  const { GenericContainer, getContainerRuntimeClient } = await import('testcontainers');
  const runtime = await getContainerRuntimeClient();
  // A port of our own choice, because one chosen by the engine changes at every restart.
  const published = await freePort();
  let description = new GenericContainer(options.image)
    .withExposedPorts({ container: options.port, host: published })
    .withEnvironment({ ...options.environment });
  if (options.command !== undefined) description = description.withCommand([...options.command]);
  const container = await description.start().catch((error: unknown) => {
    throw new LinkUnavailable(`${options.image}: ${error instanceof Error ? error.message : error}`);
  });
  const host = container.getHost();
  const port = container.getMappedPort(options.port);
  const handle = runtime.container.getById(container.getId());
  if (!(await options.answers(host, port))) {
    await container.stop();
    throw new Error(`${options.image} started, but does not answer on ${host}:${port}`);
  }
  let paused = false;
  const wake = async (): Promise<void> => {
    if (paused) await handle.unpause();
    paused = false;
  };

  return {
    host,
    port,
    async kill(signal) {
      if (signal === 'SIGSTOP') {
        // A signal would reach the first process only, not the sessions of a PostgreSQL.
        await handle.pause();
        paused = true;
        return;
      }
      await wake();
      if (signal === 'SIGCONT') return;
      const ended = signal === 'SIGKILL' || signal === 'SIGTERM' ? handle.wait() : undefined;
      await handle.kill({ signal });
      await ended;
    },
    async restart() {
      await wake();
      await handle.restart({ t: 5 });
      if (!(await options.answers(host, port))) {
        throw new Error(`${options.image} does not answer on ${host}:${port} after its restart`);
      }
    },
    async stop() {
      await wake();
      await container.stop();
    },
  };
}
