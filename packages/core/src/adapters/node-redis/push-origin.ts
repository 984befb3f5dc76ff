import type { ConnectionClient } from './clients.ts';

/** What takes the replies of one client of node-redis apart. */
interface Decoder {
  onPush(push: unknown): unknown;
}

interface Queued {
  _getQueue?(): { readonly decoder?: Partial<Decoder> };
}

/** Whose push is being handled right now. */
let origin: object | undefined;

/**
 * From now on pushes of this client are handled as its own: see {@link pushOrigin}.
 *
 * node-redis hands a push to the cache without saying which of the clients that share it heard it. It
 * matters for what we wrote ourselves: the one push that echoes the write comes on the connection that
 * wrote, and any other is a change. Where a release of node-redis keeps its decoder to itself nobody
 * knows, and every push counts as a change: right, but what was loaded is then asked for once more.
 */
export function markPushes(client: ConnectionClient, mark: object): void {
  const decoder = (client as Queued)._getQueue?.().decoder;
  const original = decoder?.onPush;
  if (decoder === undefined || typeof original !== 'function') return;
  decoder.onPush = (push) => {
    origin = mark;
    try {
      return original.call(decoder, push);
    } finally {
      origin = undefined;
    }
  };
}

/** The mark of the client whose push is being handled, if it is known. */
export function pushOrigin(): object | undefined {
  return origin;
}
