import { describe, expect, test } from 'vitest';
import { slotOf } from '../../src/cluster/slot.ts';
import { topologyOf } from '../../src/cluster/topology.ts';
import { FakeClient, type SentCommand, settled } from '../../src/testing/index.ts';
import { type HandshakeOutcome, saysUntracked, shakeHands } from '../../src/tracking/handshake.ts';
import { DEFAULT_RULES, type TrackingRules } from '../../src/tracking/options.ts';

const KEY = 'redcache:probe:id';
const TRACKED = { flags: ['on'], redirect: -1, prefixes: [] };
const SLOTS = [
  [0, 5_460, ['10.0.0.1', 6379, 'id-a', []], ['10.0.0.4', 6379, 'id-d', []]],
  [5_461, 10_922, ['10.0.0.2', 6379, 'id-b', []]],
  [10_923, 16_383, ['10.0.0.3', 6379, 'id-c', []]],
];

const NODES = `id-a 10.0.0.1:6379@16379 myself,master - 0 0 1 connected 0-5460 [7->-id-b]
id-b 10.0.0.2:6379@16379 master - 0 1700000000000 2 connected 5461-10922
`;

/** A handshake under way on a fake client, whose pushes reach it as those of the hub would. */
function shaking(rules: Partial<TrackingRules> = {}, { cluster = false } = {}) {
  const client = Object.assign(new FakeClient(), { cluster });
  const listening = new Map<string, () => void>();
  const topologies: string[] = [];
  let enabled = 0;
  let proved = 0;
  let outcome: HandshakeOutcome | undefined;
  client.onPush((push) => {
    if (push.kind === 'keys') for (const key of push.keys) listening.get(key)?.();
  });
  const finished = shakeHands({
    port: client,
    rules: { ...DEFAULT_RULES, ...rules },
    probeId: 'id',
    onPushOf: (key, listener) => {
      listening.set(key, listener);
      return () => listening.delete(key);
    },
    onEnabled: () => {
      enabled += 1;
    },
    onProved: () => {
      proved += 1;
    },
    onTopology: (topology) => topologies.push(topology),
  }).then((came) => {
    outcome = came;
    return came;
  });
  return {
    client,
    listening,
    topologies,
    finished,
    get enabled() {
      return enabled;
    },
    get proved() {
      return proved;
    },
    get outcome() {
      return outcome;
    },
    /** What was sent and not answered, as text. */
    get sent() {
      return client.sent.map(({ args }) => args.join(' '));
    },
    /** Answers the command that begins so, and lets all that follows from it happen. */
    async answer(words: string, how: (command: SentCommand) => void): Promise<void> {
      const command = client.sent.find(({ args }) => args.join(' ').startsWith(words));
      if (command === undefined) throw new Error(`${words} was not sent`);
      how(command);
      await settled();
    },
  };
}

const ok = ({ reply }: SentCommand): void => reply('OK');
const nothing = ({ reply }: SentCommand): void => reply(null);
const tracked = ({ reply }: SentCommand): void => reply(TRACKED);
const refuse =
  (message: string) =>
  ({ fail }: SentCommand): void =>
    fail(new Error(message));

type Shaking = ReturnType<typeof shaking>;

/** All is answered as by a server in order, whose push comes before the reply of the last command. */
async function answerAll(it: Shaking, key = KEY): Promise<void> {
  await it.answer('CLIENT TRACKING ON', ok);
  await it.answer('GET', nothing);
  await it.answer('SET', ok);
  it.client.push(key);
  await it.answer('CLIENT TRACKINGINFO', tracked);
}

describe('what is sent, in one go', () => {
  test('default: tracking, a read and a write of a key of its own, and a question behind them', () => {
    expect(shaking().sent).toEqual([
      'CLIENT TRACKING ON',
      `GET ${KEY}`,
      `SET ${KEY} 1 PX 1000`,
      'CLIENT TRACKINGINFO',
    ]);
  });

  test('optin: the read is announced', () => {
    expect(shaking({ mode: 'optin' }).sent).toEqual([
      'CLIENT TRACKING ON OPTIN',
      'CLIENT CACHING YES',
      `GET ${KEY}`,
      `SET ${KEY} 1 PX 1000`,
      'CLIENT TRACKINGINFO',
    ]);
  });

  test('broadcast: the prefixes and one for the probe, after whatever was set before', () => {
    expect(shaking({ mode: { broadcast: ['user:', 'cart:'] } }).sent).toEqual([
      'CLIENT TRACKING OFF',
      `CLIENT TRACKING ON BCAST PREFIX user: PREFIX cart: PREFIX ${KEY}`,
      `GET ${KEY}`,
      `SET ${KEY} 1 PX 1000`,
      'CLIENT TRACKINGINFO',
    ]);
  });

  test.for([[['']], [['redcache:']], [['user:', 'redcache:probe:']]])(
    'broadcast to %j: the probe needs no prefix of its own, which would overlap',
    ([broadcast]) => {
      const all = (broadcast as string[]).map((prefix) => `PREFIX ${prefix}`).join(' ');
      expect(shaking({ mode: { broadcast: broadcast as string[] } }).sent[1]).toBe(
        `CLIENT TRACKING ON BCAST ${all}`,
      );
    },
  );

  test('broadcast in a cluster: a prefix for every probe key there may be', async () => {
    const it = shaking({ mode: { broadcast: ['user:'] } }, { cluster: true });
    expect(it.sent).toContain('CLIENT TRACKING ON BCAST PREFIX user: PREFIX redcache:probe:{');
  });
});

describe('verified', () => {
  test('when the push of the probe came before the last answer; nothing is left listening', async () => {
    const it = shaking();
    expect([...it.listening.keys()]).toEqual([KEY]);
    await answerAll(it);
    expect(it.outcome).toEqual({ is: 'verified' });
    expect(it.sent).toEqual([]);
    expect(it.listening.size).toBe(0);
  });

  test('is said as soon as the push is here, when nothing else was answered yet', async () => {
    const it = shaking();
    it.client.push(KEY);
    await settled();
    expect(it.proved).toBe(0);
    await it.answer('CLIENT TRACKING ON', ok);
    expect([it.proved, it.outcome]).toEqual([1, undefined]);
  });

  test('noLoop: is said only when that is on as well', async () => {
    const it = shaking({ noLoop: true });
    await answerAll(it);
    expect([it.proved, it.outcome]).toEqual([0, undefined]);
  });

  test('tracking counts as enabled as soon as that is answered, once', async () => {
    const it = shaking();
    expect(it.enabled).toBe(0);
    await it.answer('CLIENT TRACKING ON', ok);
    expect([it.enabled, it.outcome]).toEqual([1, undefined]);
    await it.answer('GET', nothing);
    await it.answer('SET', ok);
    it.client.push(KEY);
    await it.answer('CLIENT TRACKINGINFO', tracked);
    expect(it.enabled).toBe(1);
  });

  test('I4: noLoop: not before that is on, since it hides that somebody had switched tracking off', async () => {
    const it = shaking({ noLoop: true });
    await answerAll(it);
    expect(it.enabled).toBe(0);
    await it.answer('CLIENT TRACKING ON NOLOOP', ok);
    expect([it.enabled, it.outcome]).toEqual([1, { is: 'verified' }]);
  });

  test.for(['GET', 'CLIENT TRACKINGINFO', 'CLIENT TRACKING OFF'])(
    'also where %s is refused, which is an answer all the same',
    async (refused) => {
      const it = shaking({ mode: { broadcast: [''] } });
      const order = [
        'CLIENT TRACKING OFF',
        'CLIENT TRACKING ON',
        'GET',
        'SET',
        'CLIENT TRACKINGINFO',
      ];
      for (const words of order) {
        if (words === 'CLIENT TRACKINGINFO') it.client.push(KEY);
        await it.answer(words, words === refused ? refuse('NOPERM this user may not') : ok);
      }
      expect(await it.finished).toEqual({ is: 'verified' });
    },
  );

  test('when the push came behind the last answer, as in broadcast mode: before that of a PING', async () => {
    const it = shaking({ mode: { broadcast: [''] } });
    for (const words of ['CLIENT TRACKING OFF', 'CLIENT TRACKING ON', 'GET', 'SET'])
      await it.answer(words, ok);
    await it.answer('CLIENT TRACKINGINFO', tracked);
    expect([it.sent, it.outcome]).toEqual([['PING'], undefined]);
    it.client.push(KEY);
    await it.answer('PING', ok);
    expect(it.outcome).toEqual({ is: 'verified' });
  });

  test('not before the push, however late all of the answers are', async () => {
    const it = shaking();
    it.client.push('other', 'redcache:probe:other');
    for (const words of ['CLIENT TRACKING ON', 'GET', 'SET']) await it.answer(words, ok);
    await it.answer('CLIENT TRACKINGINFO', tracked);
    expect(it.outcome).toBeUndefined();
  });

  test('noLoop: own writes are still pushed back while the probe is, and not any more at the end', async () => {
    const it = shaking({ noLoop: true });
    expect(it.sent[0]).toBe('CLIENT TRACKING ON');
    await answerAll(it);
    expect([it.sent, it.outcome]).toEqual([['CLIENT TRACKING ON NOLOOP'], undefined]);
    await it.answer('CLIENT TRACKING ON NOLOOP', ok);
    expect(it.outcome).toEqual({ is: 'verified' });
  });

  test('noLoop in optin mode: it stays optin', async () => {
    const it = shaking({ noLoop: true, mode: 'optin' });
    await it.answer('CLIENT CACHING YES', ok);
    await answerAll(it);
    expect(it.sent).toEqual(['CLIENT TRACKING ON OPTIN NOLOOP']);
  });
});

describe('refused', () => {
  test('where tracking is, and nothing is left listening', async () => {
    const it = shaking();
    const reason = new Error("NOPERM User has no permissions to run the 'client|tracking' command");
    await it.answer('CLIENT TRACKING ON', ({ fail }) => fail(reason));
    expect(it.outcome).toEqual({ is: 'refused', reason });
    expect([it.enabled, it.listening.size]).toEqual([0, 0]);
    // What else is answered is nobody's any more.
    for (const words of ['GET', 'SET', 'CLIENT TRACKINGINFO'])
      await it.answer(words, refuse('NOPERM'));
  });

  test('where pushes do not arrive, which is known after a PING', async () => {
    const it = shaking();
    for (const words of ['CLIENT TRACKING ON', 'GET', 'SET']) await it.answer(words, ok);
    await it.answer('CLIENT TRACKINGINFO', tracked);
    expect(it.sent).toEqual(['PING']);
    await it.answer('PING', ok);
    expect(it.outcome).toEqual({
      is: 'refused',
      reason: expect.objectContaining({ message: expect.stringMatching(/^pushes do not arrive/) }),
    });
    expect(it.listening.size).toBe(0);
  });

  test('where pushes do not arrive and PING is refused', async () => {
    const it = shaking();
    for (const words of ['CLIENT TRACKING ON', 'GET', 'SET']) await it.answer(words, ok);
    await it.answer('CLIENT TRACKINGINFO', tracked);
    await it.answer('PING', refuse('NOPERM no PING'));
    expect(it.outcome).toMatchObject({ is: 'refused', reason: { message: /^pushes/ } });
  });

  test('where noLoop is', async () => {
    const it = shaking({ noLoop: true });
    await answerAll(it);
    const reason = new Error('ERR syntax error');
    await it.answer('CLIENT TRACKING ON NOLOOP', ({ fail }) => fail(reason));
    expect(it.outcome).toEqual({ is: 'refused', reason });
  });
});

describe('unverifiable', () => {
  test('where nothing may be written; reads are tracked all the same', async () => {
    const it = shaking();
    const reason = new Error("READONLY You can't write against a read only replica.");
    await it.answer('CLIENT TRACKING ON', ok);
    await it.answer('GET', nothing);
    await it.answer('SET', ({ fail }) => fail(reason));
    await it.answer('CLIENT TRACKINGINFO', tracked);
    expect(it.outcome).toEqual({ is: 'unverifiable', reason });
    expect([it.enabled, it.listening.size, it.sent]).toEqual([1, 0, []]);
  });

  test('where nothing may be written: noLoop is asked for all the same', async () => {
    const it = shaking({ noLoop: true });
    await it.answer('CLIENT TRACKING ON', ok);
    await it.answer('GET', nothing);
    await it.answer('SET', refuse('NOPERM no SET'));
    await it.answer('CLIENT TRACKINGINFO', tracked);
    await it.answer('CLIENT TRACKING ON NOLOOP', ok);
    expect(it.outcome).toMatchObject({ is: 'unverifiable' });
  });
});

describe('in a cluster', () => {
  /** Up to where the node has said who it is and how the cluster looks. */
  async function known(
    id: unknown,
    slots: unknown,
    rules: Partial<TrackingRules> = {},
  ): Promise<Shaking> {
    const it = shaking(rules, { cluster: true });
    expect(it.sent).toEqual([
      'CLUSTER MYID',
      'CLUSTER SLOTS',
      'CLUSTER NODES',
      'CLUSTER INFO',
      'CLIENT TRACKING ON',
    ]);
    await it.answer('CLUSTER MYID', ({ reply }) => reply(id));
    await it.answer('CLUSTER SLOTS', ({ reply }) => reply(slots));
    await it.answer('CLUSTER NODES', ({ reply }) => reply(NODES));
    await it.answer('CLUSTER INFO', refuse('NOPERM no INFO'));
    await it.answer('CLIENT TRACKING ON', ok);
    return it;
  }

  test.for([
    ['id-a', 0, 5_460],
    ['id-b', 5_461, 10_922],
    ['id-c', 10_923, 16_383],
  ] as const)('the probe of %s has a slot from %d to %d', async ([id, from, to]) => {
    const it = await known(id, SLOTS);
    const [get, set, info] = it.sent;
    const key = get?.slice('GET '.length) ?? '';
    expect(key).toMatch(/^redcache:probe:\{\w+\}:id$/);
    expect(slotOf(key)).toBeGreaterThanOrEqual(from);
    expect(slotOf(key)).toBeLessThanOrEqual(to);
    expect([set, info]).toEqual([`SET ${key} 1 PX 1000`, 'CLIENT TRACKINGINFO']);
    await it.answer('GET', nothing);
    await it.answer('SET', ok);
    it.client.push(key);
    await it.answer('CLIENT TRACKINGINFO', tracked);
    expect(it.outcome).toEqual({ is: 'verified' });
    expect(it.enabled).toBe(1);
    expect(it.listening.size).toBe(0);
  });

  test('how the cluster looked is told, to be compared with', async () => {
    const it = await known('id-a', SLOTS);
    expect(it.topologies).toEqual([topologyOf([SLOTS, NODES, undefined])]);
  });

  test('one slot is enough', async () => {
    const it = await known(Buffer.from('id-a'), [[12_182, 12_182, ['h', 1, 'id-a', []]]]);
    expect(slotOf(it.sent[0]?.slice('GET '.length) ?? '')).toBe(12_182);
  });

  test.for([
    ['a replica', 'id-d', SLOTS],
    ['a new node', 'id-e', SLOTS],
    ['a cluster without slots', 'id-a', []],
    ['an answer that is no list', 'id-a', 'none'],
  ] as const)(
    '%s is unverifiable, tracked all the same, and not written to',
    async ([, id, slots]) => {
      for (const noLoop of [false, true]) {
        const it = await known(id, slots, { noLoop });
        expect(it.outcome).toMatchObject({ is: 'unverifiable' });
        expect([it.enabled, it.sent, it.listening.size]).toEqual([1, [], 0]);
      }
    },
  );

  test('tracking refused: refused, whatever else is answered', async () => {
    const it = shaking({}, { cluster: true });
    const reason = new Error('NOPERM no CLIENT');
    await it.answer('CLIENT TRACKING ON', ({ fail }) => fail(reason));
    expect(it.outcome).toEqual({ is: 'refused', reason });
    await it.answer('CLUSTER MYID', refuse('ERR This instance has cluster support disabled'));
    for (const question of ['SLOTS', 'NODES', 'INFO'])
      await it.answer(
        `CLUSTER ${question}`,
        refuse('ERR This instance has cluster support disabled'),
      );
  });

  test('a node that does not say who it is: refused', async () => {
    const it = shaking({}, { cluster: true });
    const reason = new Error('ERR This instance has cluster support disabled');
    await it.answer('CLUSTER MYID', ({ fail }) => fail(reason));
    for (const question of ['SLOTS', 'NODES', 'INFO'])
      await it.answer(`CLUSTER ${question}`, refuse('ERR no'));
    await it.answer('CLIENT TRACKING ON', ok);
    expect(it.outcome).toEqual({ is: 'refused', reason });
  });
});

describe('a connection that is lost meanwhile', () => {
  const modes: [string, Partial<TrackingRules>, boolean][] = [
    ['default', {}, false],
    ['optin with noLoop', { mode: 'optin', noLoop: true }, false],
    ['broadcast', { mode: { broadcast: ['user:'] } }, false],
    ['in a cluster', {}, true],
  ];

  test.for(modes)(
    '%s: after however many answers it is gone, and nothing is left listening or unhandled',
    async ([, rules, cluster]) => {
      const unhandled: unknown[] = [];
      const note = (reason: unknown): void => void unhandled.push(reason);
      process.on('unhandledRejection', note);
      let answers = 0;
      for (let finished = false; !finished; answers += 1) {
        const it = shaking(rules, { cluster });
        for (let i = 0; i < answers && it.sent.length > 0; i += 1) {
          const [words] = it.sent;
          await it.answer(words as string, ({ reply }) =>
            reply(words === 'CLUSTER MYID' ? 'id-a' : words === 'CLUSTER SLOTS' ? SLOTS : 'OK'),
          );
        }
        finished = it.outcome !== undefined;
        it.client.connection('down');
        await settled();
        // Without the push: at the end it is known that none comes.
        expect(it.outcome).toMatchObject({ is: finished ? 'refused' : 'gone' });
        expect([it.listening.size, it.sent]).toEqual([0, []]);
      }
      process.off('unhandledRejection', note);
      expect(unhandled).toEqual([]);
      expect(answers).toBeGreaterThan(5);
    },
  );
});

describe('an answer to TRACKINGINFO says that the connection is not tracked', () => {
  const shapes: Record<string, (flags: readonly string[]) => unknown> = {
    'an object with a list': (flags) => ({ flags, redirect: -1 }),
    'an object with a Set': (flags) => ({ flags: new Set(flags) }),
    'a Map with a list': (flags) => new Map<string, unknown>([['flags', flags]]),
    'a Map with a Set': (flags) => new Map([['flags', new Set(flags)]]),
    'a flat list': (flags) => ['flags', flags, 'redirect', -1],
    'a flat list with a Set': (flags) => ['redirect', -1, 'flags', new Set(flags)],
    Buffers: (flags) => ({ flags: flags.map((flag) => Buffer.from(flag)) }),
  };

  test.for(Object.keys(shapes))('%s', (name) => {
    const shape = shapes[name] as (typeof shapes)[string];
    expect(saysUntracked(shape(['off']))).toBe(true);
    expect(saysUntracked(shape(['on']))).toBe(false);
    expect(saysUntracked(shape(['on', 'optin', 'caching-yes']))).toBe(false);
  });

  test.for([undefined, null, 'OK', 5, {}, [], new Map(), { flags: 'off' }])(
    'not %j, which says nothing',
    (answer) => {
      expect(saysUntracked(answer)).toBe(false);
    },
  );
});
