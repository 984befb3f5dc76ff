import { parseArgs } from 'node:util';
import type { Contact } from '../../children/lock-contender.ts';
import { judge } from './judge.ts';
import { report } from './report.ts';
import { PROMISES, play, type SceneKind } from './scene.ts';

/**
 * The scene of `nemesis.test.ts` for as long as one likes: `npm run nemesis -- --seconds 60`. A seed
 * makes the same choices again, which the processes then meet in their own time.
 */
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    deployment: { type: 'string' },
    contact: { type: 'string', default: 'client' },
  },
});

function numberOf(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value >= 0) return value;
  throw new Error(`--${name} must be a number, not '${text}'`);
}

function oneOf<T extends string>(name: string, text: string, all: readonly T[]): T {
  if (all.includes(text as T)) return text as T;
  throw new Error(`--${name} must be one of ${all.join(', ')}, not '${text}'`);
}

const KINDS: readonly SceneKind[] = ['standalone', 'sentinel'];
const seconds = numberOf('seconds', values.seconds);
const seed = numberOf('seed', values.seed);
const contact = oneOf<Contact['is']>('contact', values.contact, ['client', 'sentinel']);
const kinds =
  values.deployment === undefined ? KINDS : [oneOf('deployment', values.deployment, KINDS)];

let found = 0;
for (const kind of kinds) {
  console.log(`nemesis: ${kind}, ${seconds} s, seed ${seed}`);
  const history = await play({ kind, seconds, seed, contact });
  const violations = judge(history, PROMISES);
  console.log(`nemesis: ${report(history, violations, PROMISES).replaceAll('\n', '\nnemesis: ')}`);
  found += violations.length;
}
// Left to itself, Node 20 may be busy for ever with the channels of children that were killed.
process.exit(found > 0 ? 1 : 0);
