import { startStandalone } from '@redcache/test/deployments';
import { findRedis } from '@redcache/test/redis';
import { createClient } from 'redis';

/** There is no Redis to work with; the message says what to do. */
export class GroundError extends Error {
  override readonly name = 'GroundError';
}

/** The Redis under a demo or a benchmark. */
export interface Ground extends AsyncDisposable {
  readonly url: string;
  /** Whether it was started for this run, and so ends with it. */
  readonly isOwn: boolean;
  /** SIGKILL; and start it again, empty, on the same port. Only of its own. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  /** SIGSTOP, and SIGCONT; the latter of one that is not paused, or gone, does nothing. Only of its own. */
  pause(): Promise<void>;
  resume(): Promise<void>;
}

export interface GroundOptions {
  /** The Redis to use. */
  readonly url?: string | undefined;
  /** What is to be killed must be a server of its own, whatever the environment names. */
  readonly mustBeOwn?: boolean;
}

/**
 * The Redis that the user named, by option or environment; else a server started for this run.
 *
 * Throws: {@link GroundError}.
 */
export async function openGround({ url, mustBeOwn = false }: GroundOptions = {}): Promise<Ground> {
  try {
    if (url !== undefined) return await foreign(url);
    const found = mustBeOwn ? undefined : await findRedis();
    return found?.url === undefined ? await own() : await foreign(found.url);
  } catch (error) {
    throw new GroundError((error as Error).message, { cause: error });
  }
}

async function own(): Promise<Ground> {
  const deployment = await startStandalone();
  return {
    url: deployment.url,
    isOwn: true,
    kill: () => deployment.node.kill(),
    restart: () => deployment.node.start(),
    pause: () => deployment.node.pause(),
    resume: () => deployment.node.resume(),
    [Symbol.asyncDispose]: () => deployment.stop(),
  };
}

/** Asks it something first: a client that is to reconnect by itself would try for ever. */
async function foreign(url: string): Promise<Ground> {
  const client = createClient({ url, socket: { reconnectStrategy: false } });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.ping();
  } catch (error) {
    const cause = error instanceof AggregateError ? error.errors[0] : error;
    throw new Error(`Redis at ${new URL(url).host} can't be used: ${(cause as Error).message}`);
  } finally {
    client.destroy();
  }
  const refuse = async (): Promise<void> => {
    throw new Error('this Redis is not ours to kill');
  };
  return {
    url,
    isOwn: false,
    kill: refuse,
    restart: refuse,
    pause: refuse,
    resume: refuse,
    [Symbol.asyncDispose]: async () => {},
  };
}
