import { subscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { type Clock, systemClock } from '../../clock.ts';

/** What pacing needs of a socket. */
export interface PacedSocket extends Pick<Socket, 'bytesRead' | 'destroyed' | 'readableFlowing'> {
  pause(): unknown;
  resume(): unknown;
}

/** For how long pushes may be handled before the event loop turns. */
const LONGEST_MS = 10;
/** The clock is not asked at every push: so many take one or two milliseconds. */
const PUSHES_A_LOOK = 256;
/** Sockets that are gone are forgotten when there are so many, and twice as many as were left. */
const FEWEST_TO_SWEEP = 64;

/**
 * Lets the event loop turn in a storm of invalidations. libuv reads up to 32 chunks of 64 KB from one
 * socket before anything else may run: some 35 000 pushes, a third of a second. So once pushes have
 * taken {@link LONGEST_MS} of one turn, the sockets that were read meanwhile are paused, and go on in
 * the next. Nothing is decoded later than it is read, and what waits, waits in the kernel: node's
 * stream keeps one chunk, at which it stops reading. The bound is as coarse as a chunk.
 *
 * A push does not say which socket it came by, and node-redis shows none of them. Any other busy
 * socket of the process may be paused as well if it was read in those very milliseconds: it waits for
 * no more than that turn. One that does not flow is left alone.
 */
export class ReadPacing {
  readonly #clock: Clock;
  /** Weakly, so that no socket is kept for this, nor listened to. */
  #sockets = new Set<WeakRef<PacedSocket>>();
  #sweepAt = FEWEST_TO_SWEEP;
  #isTurning = false;
  #pushes = 0;
  #sinceMs = 0;
  /** What had been read by each at the first look of this turn. */
  #readBefore: Map<PacedSocket, number> | undefined;
  /** They went on in this turn with a chunk that had been read before it. */
  readonly #resumed = new Set<PacedSocket>();
  readonly #paused = new Set<PacedSocket>();

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** How many sockets are known, some of which may be gone. */
  get known(): number {
    return this.#sockets.size;
  }

  add(socket: PacedSocket): void {
    this.#sockets.add(new WeakRef(socket));
    if (this.#sockets.size < this.#sweepAt) return;
    for (const _ of this.#alive()); // guard: I12
    this.#sweepAt = Math.max(FEWEST_TO_SWEEP, 2 * this.#sockets.size);
  }

  /** Called for every push, inside the event by which its socket hands out what was read. */
  pushed(): void {
    if (!this.#isTurning) this.#beginTurn();
    this.#pushes += 1;
    if (this.#pushes % PUSHES_A_LOOK === 0) this.#look();
  }

  #beginTurn(): void {
    this.#isTurning = true;
    this.#sinceMs = this.#clock.nowMs();
    // Not unref'd: a paused socket does not keep the process alive, though it will go on.
    setImmediate(() => this.#endTurn());
  }

  #endTurn(): void {
    this.#isTurning = false;
    this.#pushes = 0;
    this.#readBefore = undefined;
    this.#resumed.clear();
    for (const socket of this.#paused) {
      // Somebody else may have resumed it, or destroyed it.
      if (socket.destroyed || socket.readableFlowing !== false) continue;
      socket.resume();
      this.#resumed.add(socket);
    }
    this.#paused.clear();
    // What they had read is handed out before the loop turns, and counts.
    if (this.#resumed.size > 0) this.#beginTurn();
  }

  #look(): void {
    this.#readBefore ??= new Map([...this.#alive()].map((socket) => [socket, socket.bytesRead]));
    if (this.#clock.nowMs() - this.#sinceMs < LONGEST_MS) return;
    for (const socket of this.#alive()) {
      if (socket.readableFlowing !== true) continue;
      const wasRead = socket.bytesRead > (this.#readBefore.get(socket) ?? 0);
      if (!wasRead && !this.#resumed.has(socket)) continue;
      socket.pause();
      this.#paused.add(socket);
    }
  }

  *#alive(): Generator<PacedSocket> {
    for (const known of this.#sockets) {
      const socket = known.deref();
      if (socket === undefined || socket.destroyed) this.#sockets.delete(known);
      else yield socket;
    }
  }
}

let pacing: ReadPacing | undefined;

/**
 * The pacing of this process, which knows every socket that is connected from the first call on.
 * Node publishes those of `net.connect()`: a connection by TLS is not among them, and is not paced.
 */
export function paceReads(): ReadPacing {
  if (pacing !== undefined) return pacing;
  const made = new ReadPacing();
  subscribe('net.client.socket', (message) => made.add((message as { socket: Socket }).socket));
  pacing = made;
  return made;
}
