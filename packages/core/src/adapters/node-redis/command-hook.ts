import { RESP_TYPES, RedisClient } from 'redis';
import { ConfigError } from '../../errors.ts';
import type { Argument, SendOptions } from '../../ports.ts';

type SendCommand = (
  this: HookedClient,
  args: readonly Argument[],
  options?: object,
) => Promise<unknown>;
type ExecuteAll = (
  this: HookedClient,
  commands: readonly { readonly args: readonly Argument[] }[],
  ...rest: unknown[]
) => Promise<unknown>;
type Connect = (this: HookedClient) => Promise<unknown>;
type Reset = (this: HookedClient) => Promise<unknown>;
type Monitor = (this: HookedClient, callback: unknown) => Promise<unknown>;

/** What the hook reads of a client of node-redis. */
export interface HookedClient {
  readonly clientSideCache: unknown;
  /** The client itself, behind the views that `withCommandOptions()` and the like make of it. */
  readonly _self: HookedClient;
}

/** Is given the reply, or the error instead. */
export type Answered = (outcome: unknown) => void;

/** Is told of every command that a client of its own sends, just before it is queued. */
export interface CommandObserver {
  /** `connect()` is about to make a socket. */
  connecting(client: HookedClient): void;
  /** `connect()` has succeeded, and whoever called it does not know yet. */
  connected(client: HookedClient): void;
  /** From now on every reply on this connection goes to whoever monitors, ours too. */
  monitoring(client: HookedClient): void;
  /** `reset()` queues its commands past `sendCommand`. Answers what to call when it has run. */
  resetting(client: HookedClient): Answered;
  /** Answers what to call when the command was answered, if anything. */
  sending(
    client: HookedClient,
    args: readonly Argument[],
    options: object | undefined,
  ): Answered | undefined;
  /** The same for all commands of a MULTI or a pipeline. */
  sendingAll(
    client: HookedClient,
    commands: readonly { readonly args: readonly Argument[] }[],
  ): Answered | undefined;
}

/** Marks an observer; only providers of this very copy of the package have it. */
export const OBSERVER: unique symbol = Symbol('redcache.command-observer');

interface Hookable {
  sendCommand: SendCommand;
  connect: Connect;
  reset: Reset;
  MONITOR: Monitor;
  _executeMulti: ExecuteAll;
  _executePipeline: ExecuteAll;
}

function observerOf(client: HookedClient): CommandObserver | undefined {
  const cache = client.clientSideCache as { [OBSERVER]?: CommandObserver } | undefined;
  return cache?.[OBSERVER];
}

/** By what they are, not by what is on them now: others may have wrapped the same methods since. */
const hookedPrototypes = new WeakSet<object>();

/**
 * Puts the hook on node-redis's client class, once. Every kind of client sends through it (pools,
 * clusters and sentinels have clients of this class inside), and no public event shows the keys of
 * all commands. Clients without a cache of ours pay one look at a property.
 *
 * Throws: `ConfigError` for a class that does not have these methods, since writes would then be
 * missed without a word.
 */
export function hookCommands(prototype: object = RedisClient.prototype): void {
  if (hookedPrototypes.has(prototype)) return;
  const methods = prototype as Hookable;
  const { sendCommand, connect, reset, MONITOR, _executeMulti, _executePipeline } = methods;
  for (const method of [sendCommand, connect, reset, MONITOR, _executeMulti, _executePipeline])
    if (typeof method !== 'function')
      throw new ConfigError('clientSideCache: this version of node-redis is not supported');
  hookedPrototypes.add(prototype);
  methods.sendCommand = hookedSend(sendCommand);
  methods.connect = hookedConnect(connect);
  methods.reset = hookedReset(reset);
  methods.MONITOR = hookedMonitor(MONITOR);
  methods._executeMulti = hookedExecute(_executeMulti);
  methods._executePipeline = hookedExecute(_executePipeline);
}

/** A command of our own is being sent: nobody is told of it, whoever has wrapped the method since. */
let isOwn = false;

function hookedSend(original: SendCommand): SendCommand {
  return function (args, options) {
    const observer = isOwn ? undefined : observerOf(this);
    isOwn = false;
    if (observer === undefined) return original.call(this, args, options);
    let answered: Answered | undefined;
    try {
      answered = observer.sending(this._self, args, options);
    } catch {
      // Arguments may be anything: node-redis says what is wrong with them, and sends nothing.
    }
    const sent = original.call(this, args, options);
    // The first to be told, before whoever awaits the same promise.
    if (answered !== undefined) sent.then(answered, answered);
    return sent;
  };
}

function hookedExecute(original: ExecuteAll): ExecuteAll {
  return function (commands, ...rest) {
    const observer = observerOf(this);
    if (observer === undefined) return original.call(this, commands, ...rest);
    let answered: Answered | undefined;
    try {
      answered = observer.sendingAll(this._self, commands);
    } catch {
      // As above.
    }
    const sent = original.call(this, commands, ...rest);
    if (answered !== undefined) sent.then(answered, answered);
    return sent;
  };
}

function hookedConnect(original: Connect): Connect {
  return function () {
    const observer = observerOf(this);
    observer?.connecting(this._self);
    const connecting = original.call(this);
    if (observer !== undefined)
      connecting.then(
        () => observer.connected(this._self),
        () => {},
      );
    return connecting;
  };
}

function hookedReset(original: Reset): Reset {
  return function () {
    const answered = observerOf(this)?.resetting(this._self);
    const done = original.call(this);
    if (answered !== undefined) done.then(answered, answered);
    return done;
  };
}

function hookedMonitor(original: Monitor): Monitor {
  return function (callback) {
    observerOf(this)?.monitoring(this._self);
    return original.call(this, callback);
  };
}

/**
 * The options for commands of our own. No timeout of node-redis: it makes an abort timer per command
 * and ends only unsent ones. No type mapping: the client may want its numbers as text.
 *
 * node-redis spreads them over the client's own for every command. Where ours add a field, all
 * commands of the process get slower by a microsecond, and what they leave is promoted by the
 * collector; so the mapping is overruled only where there is one.
 */
export function optionsOfOurs(client: object): object {
  const { _commandOptions: own } = client as { _commandOptions?: { typeMapping?: unknown } };
  return own !== undefined && own.typeMapping === undefined ? UNTIMED : UNTIMED_AND_UNMAPPED;
}

const UNTIMED = { timeout: 0 };
const UNTIMED_AND_UNMAPPED = { timeout: 0, typeMapping: {} };

/** What can send, or a view of it. */
interface Sender {
  sendCommand(args: readonly Argument[], options?: object): Promise<unknown>;
}

const BYTES = { [RESP_TYPES.BLOB_STRING]: Buffer };
const byteViews = new WeakMap<object, Sender>();

/**
 * A view of the client whose replies are bytes. Its mapping is its own option, since one that came with
 * each command would cost what is said above.
 */
function byteViewOf(client: Sender): Sender {
  let view = byteViews.get(client);
  if (view === undefined) {
    view = (client as unknown as { withTypeMapping(mapping: object): Sender }).withTypeMapping(
      BYTES,
    );
    byteViews.set(client, view);
  }
  return view;
}

/** Sends a command of ours, whatever options the client has for its own. */
export function sendOurs(
  client: Sender,
  args: readonly Argument[],
  options: SendOptions | undefined,
): Promise<unknown> {
  return options?.replies === 'buffers'
    ? sendUnobserved(byteViewOf(client), args, UNTIMED)
    : sendUnobserved(client, args, optionsOfOurs(client));
}

/** Sends a command that is redcache's own: nobody is told of it. */
export function sendUnobserved(
  client: Sender,
  args: readonly Argument[],
  options?: object,
): Promise<unknown> {
  isOwn = true;
  try {
    return client.sendCommand(args, options);
  } finally {
    isOwn = false;
  }
}
