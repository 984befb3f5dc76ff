import type { Argument, SendOptions } from '../../../ports.ts';
import type { ConnectionClient } from '../clients.ts';
import { sendOurs } from '../command-hook.ts';
import { keysOf } from '../ports/first-key.ts';
import type { ClientSideCache } from '../provider.ts';
import { SendOrder } from '../send-order.ts';

/** Nothing that these answer is kept, so in optin mode they are not announced. */
const NEVER_KEPT: ReadonlySet<string> = new Set(
  `CLIENT DEL HELLO INFO PERSIST PEXPIRE PING PTTL SCRIPT SET TIME TOUCH TYPE
   UNLINK`.match(/\S+/g),
);

/**
 * Sends a command so that what it reads is tracked, in optin mode too; if it was not after all, what
 * comes of it can't be kept.
 *
 * Sends: in optin mode `CLIENT CACHING YES` right before.
 */
export function sendTracked(
  cache: ClientSideCache,
  client: ConnectionClient,
  args: readonly Argument[],
  options: SendOptions | undefined,
): Promise<unknown> {
  if (cache.tracking.mode !== 'optin' || NEVER_KEPT.has(String(args[0]).toUpperCase()))
    return sendOurs(client, args, options);
  const order = new SendOrder(cache.connectionOf(client));
  const sent = sendOurs(client, args, options);
  // First of all who hear of the answer.
  sent.then(
    () => {
      if (!order.isTracked) cache.engine.sentOn(keysOf(args), undefined); // guard: I2
    },
    () => {},
  );
  return sent;
}
