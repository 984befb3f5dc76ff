import type { TestProject } from 'vitest/node';
import { startStandalone } from './deployments.ts';
import { openLoggedRun } from './log-folder.ts';

/** The server all test files share; plain data, since it is sent to their processes. */
export interface SharedRedis {
  readonly by: 'binary' | 'container';
  /** The URL of one server. Nobody flushes, kills or reconfigures it: such tests start their own. */
  readonly standalone: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    redis: SharedRedis;
  }
}

/**
 * Starts what nearly every file needs and nothing else: a test that wants a cluster, sentinels or a
 * server of its own starts them, so that a run of a few files stays quick.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const run = openLoggedRun();
  const redis = await startStandalone().catch((error: unknown) => {
    run.end('failed');
    throw error;
  });
  project.provide('redis', { by: redis.by, standalone: redis.url });
  console.error(`redcache: the tests' Redis runs from a ${redis.by}, ${redis.url}`);
  return async () => {
    await redis.stop();
    // Vitest sets it for every kind of failure: tests, files, unhandled errors.
    const failed = process.exitCode !== undefined && process.exitCode !== 0;
    run.end(failed ? 'failed' : 'passed');
    if (failed) console.error(`redcache: the logs of all servers are kept in ${run.path}`);
  };
}
