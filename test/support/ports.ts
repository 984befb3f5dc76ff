import { createServer } from 'node:net';

/**
 * Below the range that systems hand out by themselves (from 32 768 on Linux, 49 152 elsewhere): a
 * client that keeps dialling a server that is down could else be given that very port for its own
 * end and connect to itself, and nobody takes the port of a server between kill and restart.
 */
const FIRST_PORT = 12_000;
const LAST_PORT = 31_999;

const pick = (): number => FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT + 1));

/** Whether nothing on this machine listens there now. */
function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** Ports that were free a moment ago, all different. Another process may still be quicker. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  for (let tries = 0; ports.size < count; tries += 1) {
    if (tries > 1000) throw new Error(`no ${count} free ports on 127.0.0.1`);
    const port = pick();
    if (!ports.has(port) && (await isFree(port))) ports.add(port);
  }
  return [...ports];
}
