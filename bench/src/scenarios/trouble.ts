import { contenderOf, type TellingLibrary } from '../caches/libraries.ts';
import { BenchProcess } from '../child-process.ts';
import type { Effort } from '../harness.ts';
import { type Panel, panelOf } from '../panel.ts';
import { median } from '../ratio.ts';
import { removeKeys } from '../remove-keys.ts';
import { judged, type Outcome } from '../report.ts';
import { GIVEN_UP_MS, type Trouble, type TroubledTask } from '../roles/troubled.ts';
import type { Findings, Scenario } from '../scenario.ts';

/** Those with a loader. Ours is the first. */
const LIBRARIES = ['redcache', 'bentocache', 'layered-loader'] as const satisfies TellingLibrary[];
const CONTENDERS = LIBRARIES.map(contenderOf);

const TROUBLES: Readonly<Record<Trouble, string>> = {
  hung: 'Redis hangs (SIGSTOP)',
  killed: 'Redis was killed',
};
/** Each round takes as long as it is waited for who does not answer. */
const ROUNDS: Readonly<Record<Effort['name'], number>> = { full: 2, quick: 1 };
/** Loads during which the source changes. */
const RACES: Readonly<Record<Effort['name'], number>> = { full: 20, quick: 5 };

export const trouble: Scenario = {
  kind: 'study',
  name: 'trouble',
  question: `How long does a call take while Redis hangs or is gone (at most ${GIVEN_UP_MS / 1000} s are waited), and what is stale after a load that was overtaken?`,
  run: runTrouble,
};

async function runTrouble(url: string, effort: Effort): Promise<Findings> {
  const namespace = `redcache-bench:${process.pid.toString(36)}`;
  const panels: Panel[] = [];
  try {
    for (const which of Object.keys(TROUBLES) as Trouble[]) {
      const rounds: (readonly (readonly number[])[])[] = [];
      for (let round = 0; round < ROUNDS[effort.name]; round += 1)
        rounds.push(await ask({ is: 'settle', trouble: which }));
      panels.push(...settlingPanels(TROUBLES[which], rounds));
    }
    const shares: readonly number[] = await ask({ is: 'race', races: RACES[effort.name] });
    const races = racePanel(shares);
    return { panels: [...panels, races], outcomes: outcomesOf(races) };
  } finally {
    await removeKeys(url, namespace);
  }

  /** In a process that ends with it: some of them never give up a server that is gone, and say so. */
  async function ask<Answer>(task: TroubledTask): Promise<Answer> {
    await using troubled = await BenchProcess.startQuietly<TroubledTask, Answer>(
      'troubled',
      url,
      namespace,
      ...LIBRARIES,
    );
    return await troubled.ask(task);
  }
}

/** `rounds`: of each round, for each way, the first call and the next. */
function settlingPanels(
  setting: string,
  rounds: readonly (readonly (readonly number[])[])[],
): readonly Panel[] {
  const figures = LIBRARIES.map((_, place) =>
    rounds.map((round) => round[place] as readonly number[]),
  );
  const head = { setting, unit: 'ms', better: 'less' } as const;
  return ['first call', 'next call'].map((figure, place) =>
    panelOf({ ...head, figure }, CONTENDERS, figures, (calls) => calls[place] as number),
  );
}

function racePanel(shares: readonly number[]): Panel {
  return panelOf(
    {
      setting: 'invalidated during a load',
      figure: 'stale answers afterwards',
      unit: 'share',
      better: 'less',
    },
    CONTENDERS,
    shares.map((share) => [share]),
    (share) => share,
  );
}

function outcomesOf({ rows: [ours] }: Panel): readonly Outcome[] {
  const share = median(ours?.rounds ?? []);
  return [judged(share === 0, `nothing is stale after a load that was overtaken; it is ${share}`)];
}
