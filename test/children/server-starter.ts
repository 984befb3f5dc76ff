// A child that starts servers and children of its own, to be killed in the middle of it.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { serve } from '../support/child.ts';
import { startChildren } from '../support/children.ts';
import { compiledChild } from '../support/compiled.ts';
import { startStandalone } from '../support/deployments.ts';

export const handlers = {
  /** Starts a server and answers its process id; `paused` stops it as well. */
  startServer: async (state: 'running' | 'paused'): Promise<number> => {
    const { node } = await startStandalone();
    if (state === 'paused') await node.pause();
    return node.pid;
  },
  /** Starts a child of this child. */
  startChild: async (state: 'running' | 'paused'): Promise<number> => {
    const [child] = (await startChildren('echo.ts')).all;
    if (child === undefined) throw new Error('no child');
    if (state === 'paused') await child.pause();
    return child.pid;
  },
  /** Starts a process that starts a server and has something left to do; answers the server's id. */
  startBusyStarter: async (): Promise<number> => {
    const [pid] = await once(fork(compiledChild('busy-starter.ts')), 'message');
    return pid;
  },
  /** Ends by an error that nobody catches. */
  throwUncaught: (): void => {
    setImmediate(() => {
      throw new Error('nobody catches this');
    });
  },
};

serve(handlers);
