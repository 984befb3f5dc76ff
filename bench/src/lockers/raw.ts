import { createHash, randomUUID } from 'node:crypto';
import { connect, UNTIMED } from '../connect.ts';
import type { Locker } from './locker.ts';

const LEASE_MS = 10_000;

/** KEYS[1]: the lock. ARGV[1]: its holder. Deletes the lock if it is the holder's; answers how many. */
const DELETE_IF_HOLDER = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`;

/**
 * The least that a lock has to send, and nothing around it: no fencing token, no extension, no
 * waiting, no timer.
 */
export async function openRaw(url: string): Promise<Locker> {
  const client = await connect(url, { commandOptions: UNTIMED });
  const sha = createHash('sha1').update(DELETE_IF_HOLDER).digest('hex');
  await client.scriptLoad(DELETE_IF_HOLDER);
  return {
    acquire: async (key) => {
      const holder = randomUUID();
      const answer = await client.sendCommand(['SET', key, holder, 'NX', 'PX', String(LEASE_MS)]);
      if (String(answer) !== 'OK') throw new Error(`${key} is held, and this lock cannot wait`);
      return {
        release: async () => {
          const deleted = await client.sendCommand(['EVALSHA', sha, '1', key, holder]);
          return Number(deleted) === 1 ? 'released' : 'lost';
        },
      };
    },
  };
}
