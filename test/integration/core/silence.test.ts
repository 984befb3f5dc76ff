import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { pause, VersionReader, VersionWriter } from '../../support/versions.ts';
import { EveryKind } from './every-kind.ts';
import { KINDS, type Kind } from './four-kinds.ts';
import { openBehindProxies } from './half-open.ts';

const MAX_STALENESS_MS = 400;
/** What a busy machine may add. */
const SLACK_MS = 300;

const deployments = new EveryKind();
beforeAll(() => deployments.start());
afterAll(() => deployments.stop());
const open = (kind: Kind, options: object = {}) =>
  openBehindProxies(kind, deployments.of(kind), {
    maxStaleness: MAX_STALENESS_MS,
    ...options,
  });

describe.for(KINDS)('%s', (kind) => {
  test('I4: half-open connections serve nothing older than maxStaleness, and the first fresh read comes within maxStaleness + 500 ms', async () => {
    const maxStalenessMs = 1_000;
    await using setting = await open(kind, { maxStaleness: maxStalenessMs });
    const { client, engine, halfOpen, keyFor, writer } = setting;
    const key = keyFor('counted');
    await using versions = new VersionWriter(writer, key);
    await using reader = new VersionReader(client, key);
    await eventually(() => engine.stats().hits > 50);
    versions.hold();
    await eventually(() => reader.reads.at(-1)?.version === versions.newest);
    const { hits } = engine.stats();
    await eventually(() => engine.stats().hits > hits + 5);
    const before = setting.accepted();
    halfOpen.lose();
    const sinceMs = Date.now();
    versions.goOn();
    const fresh = await eventually(() =>
      reader.reads.find(({ version }) => versions.isAfter(version, sinceMs)),
    );
    await eventually(() => engine.stats().hits > hits + 100);
    const worstMs = versions.worstMs(reader.reads);
    // Hits did go on meanwhile, as they may.
    expect(worstMs).toBeGreaterThan(maxStalenessMs / 4);
    expect(worstMs).toBeLessThan(maxStalenessMs + SLACK_MS);
    expect(engine.stats().silences).toBeGreaterThanOrEqual(1);
    expect(setting.accepted()).not.toEqual(before);
    expect((fresh?.answeredAtMs ?? Number.NaN) - sinceMs).toBeLessThan(maxStalenessMs + 500);
  });

  test('I4: a network that holds everything back and then passes it on: nothing older than maxStaleness', async () => {
    await using setting = await open(kind);
    const { client, engine, keyFor, writer } = setting;
    const key = keyFor('counted');
    await using versions = new VersionWriter(writer, key);
    await using reader = new VersionReader(client, key);
    await eventually(() => engine.stats().hits > 50);
    setting.stall();
    const sinceMs = Date.now();
    await eventually(() => engine.stats().silences > 0);
    await pause(MAX_STALENESS_MS);
    const { hits } = engine.stats();
    await pause(MAX_STALENESS_MS);
    expect(engine.stats().hits).toBe(hits);
    setting.resume();
    await eventually(() => reader.reads.some(({ version }) => versions.isAfter(version, sinceMs)));
    await eventually(() => engine.stats().hits > hits + 100);
    expect(versions.worstMs(reader.reads)).toBeLessThan(MAX_STALENESS_MS + SLACK_MS);
  });

  test('replaceSilent: false only stops hits, and they resume when it is heard again', async () => {
    await using setting = await open(kind, { replaceSilent: false });
    const { client, engine, keyFor, writer } = setting;
    const [kept, changed, other] = [keyFor('kept'), keyFor('changed'), keyFor('other')];
    for (const key of [kept, changed]) await client.set(key, 'old');
    for (const key of [kept, changed]) await setting.untilHit(key);
    const accepted = setting.accepted();
    setting.stall();
    await writer.set(changed, 'new');
    await pause(MAX_STALENESS_MS * 2);
    const { hits } = engine.stats();
    const hung = client.get(changed);
    const more = client.get(other);
    await pause(MAX_STALENESS_MS);
    expect(engine.stats().hits).toBe(hits);
    setting.resume();
    expect([await hung, await more]).toEqual(['new', null]);
    await setting.untilHit(kept);
    expect(engine.stats()).toMatchObject({ silences: 0, reconnects: 0 });
    expect(setting.accepted()).toEqual(accepted);
  });
});
