import { BenchProcess } from '../child-process.ts';
import { connect, UNTIMED } from '../connect.ts';
import type { Effort } from '../harness.ts';
import { type Contender, type Panel, panelOf } from '../panel.ts';
import { removeKeys } from '../remove-keys.ts';
import { judged, type Outcome, verdictOf } from '../report.ts';
import type { Storm, StormTask } from '../roles/storm.ts';
import type { Findings, Scenario } from '../scenario.ts';
import type { Unit } from '../unit.ts';

/**
 * Keys that one script removes, a tenth of a second of the server. One for all would block it for
 * longer than `maxStaleness`, and the connection would count as silent, as it should.
 */
const REMOVED_AT_ONCE = 50_000;

/**
 * ARGV: prefix, first, last. Removes the keys of these numbers; nothing is sent before the script has
 * ended, so that all its pushes are there at once.
 */
const REMOVE = `for i = ARGV[2], ARGV[3] do redis.call('UNLINK', ARGV[1] .. string.format('%d', i)) end`;

const OURS: readonly Contender[] = [{ name: 'redcache', standing: 'ours' }];

/** The longest that its thread may run before something else of the process does. */
const LONGEST_MS = 50;
/** How much more heap than the entries themselves their end may take. */
const MOST_HEAP = 1.25;

export const storm: Scenario = {
  kind: 'study',
  name: 'storm',
  question: 'What do a million invalidations do to a process that has all these keys?',
  run: runStorm,
};

async function runStorm(url: string, effort: Effort): Promise<Findings> {
  const namespace = `redcache-bench:${process.pid.toString(36)}`;
  const keys = effort.name === 'quick' ? 100_000 : 1_000_000;
  const storms: Storm[] = [];
  try {
    for (let round = 0; round < Math.ceil(effort.rounds / 5); round += 1) {
      // A process for each storm, since the heap of the first is not that of the second.
      await using child = await BenchProcess.start<StormTask, Storm>(
        'storm',
        url,
        `${namespace}:`,
        String(keys),
      );
      await child.ask('fill');
      await child.ask('watch');
      await removeAll(url, `${namespace}:`, keys);
      storms.push(await child.ask('result'));
    }
  } finally {
    await removeKeys(url, namespace);
  }
  return { panels: panelsOf(keys, storms), outcomes: outcomesOf(storms) };
}

/** From this process, so that nothing waits for the one that is busy with the pushes. */
async function removeAll(url: string, prefix: string, keys: number): Promise<void> {
  const client = await connect(url, { commandOptions: UNTIMED });
  try {
    for (let first = 1; first <= keys; first += REMOVED_AT_ONCE) {
      const last = Math.min(first + REMOVED_AT_ONCE - 1, keys);
      await client.eval(REMOVE, { arguments: [prefix, String(first), String(last)] });
    }
  } finally {
    client.destroy();
  }
}

function panelsOf(keys: number, storms: readonly Storm[]): readonly Panel[] {
  const setting = `${keys.toLocaleString('en')} keys`;
  const panel = (
    [figure, unit, better]: readonly [string, Unit, Panel['better']],
    pick: (storm: Storm) => number,
  ): Panel => panelOf({ setting, figure, unit, better }, OURS, [storms], pick);
  return [
    panel(['pushes', '/s', 'more'], (each) => each.perSecond),
    panel(['longest turn', 'ms', 'less'], (each) => each.longestTurnMs),
    // Where the system does not say how long a thread ran, the turn is as much as is known.
    panel(['longest run', 'ms', 'less'], (each) => each.longestRunMs ?? each.longestTurnMs),
    panel(['timer late', 'ms', 'less'], (each) => each.longestDelayMs),
    panel(['heap before', 'bytes', 'less'], (each) => each.heapBefore),
    panel(['highest', 'bytes', 'less'], (each) => each.heapPeak),
    panel(['after', 'bytes', 'less'], (each) => each.heapAfter),
  ];
}

function outcomesOf(storms: readonly Storm[]): readonly Outcome[] {
  const worst = (figure: (each: Storm) => number): number => Math.max(...storms.map(figure));
  // Where others are busy on the same cores the turn is longer than what the thread does in it.
  const longestMs = worst((each) => each.longestRunMs ?? each.longestTurnMs);
  const lost = worst((each) => each.lost);
  return [
    judged(
      longestMs <= LONGEST_MS,
      `the event loop is kept busy for at most ${LONGEST_MS} ms at a time; it was for ${longestMs.toFixed(1)} ms`,
    ),
    judged(
      lost === 0,
      `every key is dropped by its push; ${lost.toLocaleString('en')} were lost with their connection`,
    ),
    verdictOf(
      'the heap at its highest',
      'the heap before',
      MOST_HEAP,
      worst((each) => each.heapPeak / each.heapBefore),
    ),
  ];
}
