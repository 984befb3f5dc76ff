import { subscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { type Clock, systemClock } from '../../clock.ts';

/** What pacing needs of a socket. */
export interface PacedSocket
  extends Pick<Socket, 'bytesRead' | 'destroyed' | 'readableFlowing' | 'readableLength'> {
  pause(): unknown;
  /** Hands out so many of the bytes that it keeps, as the event `'data'`. */
  read(bytes: number): unknown;
  resume(): unknown;
}

/** For how long pushes may be handled before the event loop turns. */
const LONGEST_MS = 5;
/** The clock is not asked at every push: so many take one or two milliseconds. */
const PUSHES_A_LOOK = 256;
/** What a paused socket hands out between two looks at the clock: some 200 pushes. */
const SLICE_BYTES = 8_192;
/** Sockets that are gone are forgotten when there are so many, and twice as many as were left. */
const FEWEST_TO_SWEEP = 64;

/**
 * Lets the event loop turn in a storm of invalidations, for the connections of our clients. libuv reads up to 32 chunks of 64 KB from one
 * socket before anything else may run: some 35 000 pushes, a third of a second. So once pushes have
 * taken {@link LONGEST_MS} of one turn, the sockets that were read meanwhile are paused. From the next
 * turn on they hand out what they keep in slices, for as long again in each turn; one that has nothing
 * to hand out though the loop has turned flows again. Nothing is decoded later than it is handed out,
 * and what waits, waits in the kernel: node's stream keeps one chunk, at which it stops reading.
 *
 * A push does not say which socket it came by. Another of these may be paused as well if it was read
 * in those very milliseconds: it is served in its turn. Sockets of others must never come here: their
 * owners may pause them themselves, or take their listeners off, and count on nothing being read then.
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
  /** Those that waited longest come first. */
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
    this.#pushes = 0;
    this.#sinceMs = this.#clock.nowMs();
    this.#readBefore = undefined;
    // Not unref'd: a paused socket does not keep the process alive, though it will go on.
    setImmediate(() => this.#endTurn());
  }

  #endTurn(): void {
    this.#isTurning = false;
    if (this.#paused.size === 0) return;
    this.#beginTurn();
    for (const socket of [...this.#paused]) {
      if (this.#isOver) return;
      this.#paused.delete(socket);
      let isToGoOn = true;
      try {
        isToGoOn = this.#serve(socket);
      } finally {
        // What a listener throws is its process's to handle; the socket is ours to go on with.
        if (isToGoOn) this.#paused.add(socket);
      }
    }
  }

  /** Whether it is to be served again. */
  #serve(socket: PacedSocket): boolean {
    if (!isHeld(socket)) return false;
    if (socket.readableLength === 0) {
      socket.resume();
      return false;
    }
    do socket.read(Math.min(SLICE_BYTES, socket.readableLength));
    while (!this.#isOver && isHeld(socket) && socket.readableLength > 0);
    return true;
  }

  get #isOver(): boolean {
    return this.#clock.nowMs() - this.#sinceMs >= LONGEST_MS;
  }

  #look(): void {
    this.#readBefore ??= new Map([...this.#alive()].map((socket) => [socket, socket.bytesRead]));
    if (!this.#isOver) return;
    for (const socket of this.#alive()) {
      if (socket.readableFlowing !== true) continue;
      if (socket.bytesRead <= (this.#readBefore.get(socket) ?? 0)) continue;
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

/** Somebody else may have resumed it, or destroyed it. */
const isHeld = (socket: PacedSocket): boolean =>
  !socket.destroyed && socket.readableFlowing === false;

let pacing: ReadPacing | undefined;
/** Whether a client of ours is about to make a socket. */
let isExpected = false;

/** The pacing of this process. */
export function paceReads(): ReadPacing {
  if (pacing !== undefined) return pacing;
  const made = new ReadPacing();
  subscribe('net.client.socket', (message) => {
    if (isExpected) made.add((message as { socket: Socket }).socket);
    isExpected = false;
  });
  pacing = made;
  return made;
}

/**
 * To be called just before a client makes its socket, which node-redis does in the same tick: the
 * next one that is made belongs to it. node-redis shows nobody its sockets, but Node publishes those
 * of `net.connect()`. One by TLS is not among them, and is not paced.
 */
export function expectSocket(): void {
  isExpected = true;
  queueMicrotask(() => {
    isExpected = false;
  });
}
