import { parseArgs } from 'node:util';
import { playCache } from './cache/played.ts';
import type { Contact } from './contact.ts';
import type { GroundKind } from './ground.ts';
import { playLocks } from './locks/played.ts';
import type { Played, PlayOptions } from './played.ts';

/**
 * The scenes of the tests for as long as one likes: `npm run nemesis -- cache --seconds 60`. A seed
 * makes the same choices again, which the processes then meet in their own time.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    deployment: { type: 'string' },
    contact: { type: 'string', default: 'client' },
  },
});

const SCENES: Record<string, (options: PlayOptions) => Promise<Played>> = {
  locks: playLocks,
  cache: playCache,
};
const KINDS: readonly GroundKind[] = ['standalone', 'sentinel'];

function numberOf(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value >= 0) return value;
  throw new Error(`--${name} must be a number, not '${text}'`);
}

function oneOf<T extends string>(name: string, text: string, all: readonly T[]): T {
  if (all.includes(text as T)) return text as T;
  throw new Error(`${name} must be one of ${all.join(', ')}, not '${text}'`);
}

const scenes = (positionals.length === 0 ? ['locks'] : positionals).map((name) =>
  oneOf('a scene', name, Object.keys(SCENES)),
);
const seconds = numberOf('seconds', values.seconds);
const seed = numberOf('seed', values.seed);
const contact = oneOf<Contact['is']>('--contact', values.contact, ['client', 'sentinel']);
const kinds =
  values.deployment === undefined ? KINDS : [oneOf('--deployment', values.deployment, KINDS)];

let found = 0;
for (const scene of scenes)
  for (const kind of kinds) {
    console.log(`nemesis: ${scene}, ${kind}, ${seconds} s, seed ${seed}`);
    const { report, violations } = await (SCENES[scene] as (typeof SCENES)[string])({
      ...{ kind, seconds, seed, contact },
    });
    console.log(`nemesis: ${report.replaceAll('\n', '\nnemesis: ')}`);
    found += violations;
  }
// Left to itself, Node 20 may be busy for ever with the channels of children that were killed.
process.exit(found > 0 ? 1 : 0);
