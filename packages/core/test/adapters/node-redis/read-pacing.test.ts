import { EventEmitter, once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import {
  expectSocket,
  type PacedSocket,
  paceReads,
  ReadPacing,
} from '../../../src/adapters/node-redis/read-pacing.ts';
import { ManualClock } from '../../../src/testing/index.ts';

/** A socket that flows, and says what was done with it. */
class FakeSocket extends EventEmitter implements PacedSocket {
  bytesRead = 0;
  destroyed = false;
  readableFlowing: boolean | null = true;
  /** What it keeps while it is paused. */
  readableLength = 0;
  readonly done: string[] = [];
  /** What it is to hand out takes so long, and more. */
  onRead: () => void = () => undefined;

  read(bytes: number): void {
    this.readableLength -= bytes;
    this.done.push(`read ${bytes}`);
    this.onRead();
  }

  pause(): this {
    this.readableFlowing = false;
    this.done.push('pause');
    return this;
  }

  resume(): this {
    this.readableFlowing = true;
    this.done.push('resume');
    return this;
  }
}

/** So many pushes go by between two looks at the clock. */
const A_LOOK = 256;

function setting(sockets = 1) {
  const clock = new ManualClock();
  const pacing = new ReadPacing(clock);
  const all = Array.from({ length: sockets }, () => new FakeSocket());
  for (const socket of all) pacing.add(socket);
  return {
    clock,
    pacing,
    all,
    socket: all[0] as FakeSocket,
    /** One chunk of a socket, all of it pushes. */
    chunk: (socket: FakeSocket, { pushes = A_LOOK, takesMs = 0 } = {}): void => {
      socket.bytesRead += 65_536;
      clock.advance(takesMs);
      for (let i = 0; i < pushes; i += 1) pacing.pushed();
    },
  };
}

/** Resolves when what was to run at the end of this turn has run. */
const turned = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a socket whose pushes take 5 ms of a turn', () => {
  test('is paused, and goes on in the next turn', async () => {
    const { socket, chunk } = setting();
    chunk(socket);
    chunk(socket, { takesMs: 5 });
    expect(socket.done).toEqual(['pause']);
    await turned();
    expect(socket.done).toEqual(['pause', 'resume']);
    await turned();
    expect(socket.done).toHaveLength(2);
  });

  test('is paused once, however many pushes the rest of the chunk has', async () => {
    const { socket, chunk } = setting();
    chunk(socket);
    chunk(socket, { takesMs: 5, pushes: 20 * A_LOOK });
    expect(socket.done).toEqual(['pause']);
    await turned();
    expect(socket.done).toEqual(['pause', 'resume']);
  });

  test('hands out what it keeps in slices, for as long again in each turn, and then flows', async () => {
    const { clock, pacing, socket, chunk } = setting();
    chunk(socket);
    chunk(socket, { takesMs: 5 });
    socket.readableLength = 30_000;
    socket.onRead = () => {
      clock.advance(3);
      for (let i = 0; i < A_LOOK; i += 1) pacing.pushed();
    };
    await turned();
    expect(socket.done).toEqual(['pause', 'read 8192', 'read 8192']);
    await turned();
    expect(socket.done.slice(3)).toEqual(['read 8192', 'read 5424']);
    await turned();
    expect(socket.done.slice(5)).toEqual(['resume']);
    await turned();
    expect(socket.done).toHaveLength(6);
  });

  test('stays paused as long as more comes in each turn', async () => {
    const { socket, chunk } = setting();
    chunk(socket);
    chunk(socket, { takesMs: 5 });
    for (let turn = 0; turn < 3; turn += 1) {
      socket.readableLength = 100;
      await turned();
    }
    expect(socket.done).toEqual(['pause', 'read 100', 'read 100', 'read 100']);
    await turned();
    expect(socket.done.slice(4)).toEqual(['resume']);
  });

  test('shares the turns with others that are paused: who waited longest comes first', async () => {
    const { clock, all, chunk } = setting(3);
    chunk(all[0] as FakeSocket);
    for (const socket of all) chunk(socket, { takesMs: 2 });
    const served: number[] = [];
    for (const [i, socket] of all.entries()) {
      socket.readableLength = 20_000;
      socket.onRead = () => {
        served.push(i);
        clock.advance(5);
      };
    }
    expect(all.map(({ done }) => done)).toEqual([['pause'], ['pause'], ['pause']]);
    for (let turn = 0; turn < 6; turn += 1) await turned();
    expect(served).toEqual([0, 1, 2, 0, 1, 2]);
  });

  test.for(['resumes', 'destroys'])('is left alone when what it hands out %s it', async (how) => {
    const { socket, chunk } = setting();
    chunk(socket);
    chunk(socket, { takesMs: 5 });
    socket.readableLength = 20_000;
    socket.onRead = () => {
      if (how === 'resumes') socket.readableFlowing = true;
      else socket.destroyed = true;
    };
    await turned();
    await turned();
    expect(socket.done).toEqual(['pause', 'read 8192']);
  });

  test('that was connected in this very turn is paused as well', () => {
    const { pacing, socket, chunk } = setting();
    chunk(socket);
    const late = new FakeSocket();
    pacing.add(late);
    chunk(late, { takesMs: 5 });
    expect(late.done).toEqual(['pause']);
  });

  test('is left to whoever resumed it, or destroyed it, meanwhile', async () => {
    const { all, chunk } = setting(2);
    const [resumed, destroyed] = all as [FakeSocket, FakeSocket];
    chunk(resumed);
    resumed.bytesRead += 1;
    chunk(destroyed, { takesMs: 5 });
    expect(all.map(({ done }) => done)).toEqual([['pause'], ['pause']]);
    resumed.resume();
    destroyed.destroyed = true;
    await turned();
    expect(all.map(({ done }) => done)).toEqual([['pause', 'resume'], ['pause']]);
  });
});

test('what a listener throws reaches its process, and the socket goes on', async () => {
  const { socket, chunk } = setting();
  chunk(socket);
  chunk(socket, { takesMs: 5 });
  socket.readableLength = 20_000;
  const error = new Error('thrown by a listener');
  socket.onRead = () => {
    socket.onRead = () => {};
    throw error;
  };
  const thrown = once(process, 'uncaughtException');
  const others = process.rawListeners('uncaughtException').slice(0, -1);
  for (const other of others) process.off('uncaughtException', other as () => void);
  try {
    expect((await thrown)[0]).toBe(error);
  } finally {
    for (const other of others) process.on('uncaughtException', other as () => void);
  }
  for (let turn = 0; turn < 3; turn += 1) await turned();
  expect(socket.done).toEqual(['pause', 'read 8192', 'read 8192', 'read 3616', 'resume']);
});

describe('of all sockets of the process', () => {
  async function served(run: (open: () => Socket) => void | Promise<void>): Promise<void> {
    const server: Server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { readonly port: number };
    const sockets: Socket[] = [];
    try {
      await run(() => {
        const socket = connect(port, '127.0.0.1');
        sockets.push(socket);
        return socket;
      });
    } finally {
      await Promise.all(sockets.map((socket) => once(socket.destroy(), 'close')));
      server.close();
    }
  }

  test('the one that a client of ours makes next is paced, and no other', async () => {
    const pacing = paceReads();
    await served(async (open) => {
      const before = pacing.known;
      open();
      expect(pacing.known).toBe(before);
      expectSocket();
      open();
      open();
      expect(pacing.known).toBe(before + 1);
      expectSocket();
      await Promise.resolve();
      open();
      expect(pacing.known).toBe(before + 1);
    });
  });
});

describe('a socket is left alone', () => {
  test('when somebody else pauses it later', async () => {
    const { all, chunk } = setting(2);
    const [mine, other] = all as [FakeSocket, FakeSocket];
    chunk(mine);
    chunk(mine, { takesMs: 5 });
    await turned();
    await turned();
    mine.pause();
    chunk(other);
    chunk(other, { takesMs: 5 });
    await turned();
    expect(mine.done).toEqual(['pause', 'resume', 'pause']);
  });

  test('when its pushes take less', () => {
    const { socket, chunk } = setting();
    chunk(socket);
    chunk(socket, { takesMs: 4 });
    expect(socket.done).toEqual([]);
  });

  test('when they take less in each turn, however many turns there are', async () => {
    const { socket, chunk } = setting();
    for (let turn = 0; turn < 5; turn += 1) {
      chunk(socket);
      chunk(socket, { takesMs: 4 });
      await turned();
    }
    expect(socket.done).toEqual([]);
  });

  test('when few pushes come, however long they take', () => {
    const { socket, chunk } = setting();
    chunk(socket, { pushes: 100 });
    chunk(socket, { pushes: 100, takesMs: 1_000 });
    expect(socket.done).toEqual([]);
  });

  test('when few come in each of two turns', async () => {
    const { socket, chunk } = setting();
    chunk(socket, { pushes: A_LOOK - 1 });
    await turned();
    // Only one look falls into this turn, since pushes of those before do not count.
    chunk(socket, { pushes: 1 });
    chunk(socket, { pushes: A_LOOK, takesMs: 1_000 });
    expect(socket.done).toEqual([]);
  });

  test('when nothing was read from it meanwhile, though another is paused', async () => {
    const { all, chunk } = setting(2);
    const [busy, idle] = all as [FakeSocket, FakeSocket];
    idle.bytesRead = 1_000_000;
    chunk(busy);
    chunk(busy, { takesMs: 5 });
    await turned();
    await turned();
    expect([busy.done, idle.done]).toEqual([['pause', 'resume'], []]);
  });

  test.for([false, null])('when it does not flow by itself (%s)', async (readableFlowing) => {
    const { socket, chunk } = setting();
    socket.readableFlowing = readableFlowing;
    chunk(socket);
    chunk(socket, { takesMs: 5 });
    await turned();
    expect(socket.done).toEqual([]);
  });

  test('when it went on in an earlier turn, and another is busy now', async () => {
    const { all, chunk } = setting(2);
    const [first, second] = all as [FakeSocket, FakeSocket];
    chunk(first);
    chunk(first, { takesMs: 5 });
    await turned();
    await turned();
    chunk(second);
    chunk(second, { takesMs: 5 });
    expect([first.done, second.done]).toEqual([['pause', 'resume'], ['pause']]);
  });
});

test('nobody listens to a socket that is known', () => {
  const { socket } = setting();
  expect(socket.eventNames()).toEqual([]);
});

test('I12: sockets that are gone are forgotten, those that stand are not', () => {
  const { pacing, all, chunk } = setting(10);
  for (let i = 0; i < 1_000; i += 1) {
    const gone = new FakeSocket();
    gone.destroyed = true;
    pacing.add(gone);
    expect(pacing.known).toBeLessThanOrEqual(64);
  }
  for (const socket of all) chunk(socket);
  for (const socket of all) chunk(socket, { takesMs: 1 });
  expect(all.filter(({ done }) => done.length === 1)).toEqual([...all]);
});
