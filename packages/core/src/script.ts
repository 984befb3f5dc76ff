import { createHash } from 'node:crypto';
import type { Argument, CommandPort, SendOptions } from './ports.ts';

/** A Lua script and the number of keys it is given. */
export interface Script {
  readonly lua: string;
  readonly sha1: string;
  readonly keys: number;
}

export function defineScript(definition: { readonly lua: string; readonly keys: number }): Script {
  return { ...definition, sha1: createHash('sha1').update(definition.lua).digest('hex') };
}

/**
 * Runs a script.
 *
 * Sends: EVALSHA, and EVAL once when the server does not know the script (first use, restart,
 * `SCRIPT FLUSH`, failover). Atomic: the script alone.
 * Throws: what the server or the client says, as it is. A connection lost after the send leaves
 * open whether the script ran.
 */
export function runScript(
  port: CommandPort,
  script: Script,
  keys: readonly string[],
  args: readonly Argument[],
  options?: SendOptions,
): Promise<unknown> {
  const command = ['EVALSHA', script.sha1, String(keys.length), ...keys, ...args];
  return port.send(command, options).catch((error: unknown) => {
    if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
    return port.send(['EVAL', script.lua, ...command.slice(2)], options);
  });
}

/**
 * Whether this is the server's own error reply, which says that the command did not run. By RESP's
 * convention such an error begins with a code in capitals (`ERR …`, `OOM …`, `READONLY …`); what a
 * client makes up about its connection does not.
 */
export function isServerError(error: unknown): error is Error {
  return error instanceof Error && /^[A-Z][A-Z0-9_]* /.test(error.message);
}
