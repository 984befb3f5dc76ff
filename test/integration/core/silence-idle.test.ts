import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pause } from '../../support/versions.ts';
import { EveryKind } from './every-kind.ts';
import { KINDS, type Kind } from './four-kinds.ts';
import { openBehindProxies } from './half-open.ts';

/** Long beside what a busy machine does to the answers. */
const MAX_STALENESS_MS = 1_000;

const deployments = new EveryKind();
beforeAll(() => deployments.start());
afterAll(() => deployments.stop());
const open = (kind: Kind) =>
  openBehindProxies(kind, deployments.of(kind), { maxStaleness: MAX_STALENESS_MS });

describe.for(KINDS)('%s', (kind) => {
  test.for(['that others depend on', 'that nobody depends on'])(
    'a healthy connection %s is left alone, however long it is idle',
    async (which) => {
      await using setting = await open(kind);
      const { engine, keyFor } = setting;
      const keys = Array.from({ length: 8 }, (_, i) => keyFor(i));
      const ids = async (): Promise<number[]> => {
        const found: number[] = [];
        for (const key of keys) found.push(await setting.member(key, (it) => it.clientId()));
        return found.sort((a, b) => a - b);
      };
      for (const key of keys) await setting.untilHit(key);
      const [before, accepted] = [await ids(), setting.accepted()];
      if (which === 'that nobody depends on') engine.clear();
      await pause(MAX_STALENESS_MS * 2.5);
      if (which === 'that others depend on')
        for (const key of keys) expect(await setting.isHit(key)).toBe(true);
      expect(await ids()).toEqual(before);
      expect(engine.stats()).toMatchObject({ silences: 0, reconnects: 0 });
      expect(setting.accepted()).toEqual(accepted);
    },
  );
});
