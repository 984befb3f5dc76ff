import { randomUUID } from 'node:crypto';
import { inject } from 'vitest';
import { RawConnection } from '../../support/raw-connection.ts';

/** The server that the facts share. */
export const shared = { port: Number(new URL(inject('redis').standalone).port) };

/** Two connections to one server: one that tracks as told, one that is somebody else. */
export async function readerAndOther({
  port = shared.port,
  tracking = [],
}: {
  readonly port?: number;
  readonly tracking?: readonly string[];
} = {}) {
  const reader = await RawConnection.open({ port });
  const other = await RawConnection.open({ port });
  await reader.send('CLIENT', 'TRACKING', 'ON', ...tracking);
  reader.takeArrived();
  return {
    reader,
    other,
    [Symbol.asyncDispose]: async () => {
      reader.close();
      other.close();
    },
  };
}

/** What the keys of this file begin with, and those of no other that runs beside it. */
export const PREFIX = `fact:${randomUUID()}:`;
let keys = 0;
/** A key nobody has used; with {@link PX} it goes by itself. */
export const newKey = (): string => {
  keys += 1;
  return `${PREFIX}${keys}`;
};

export const PX = ['PX', '60000'] as const;
