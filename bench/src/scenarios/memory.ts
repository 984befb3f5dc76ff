import { BenchProcess } from '../child-process.ts';
import type { Effort } from '../harness.ts';
import { median } from '../ratio.ts';
import type { Holder } from '../roles/memory.ts';
import { inTurn } from '../rounds.ts';
import type { Findings, Scenario } from '../scenario.ts';
import { tableOf } from '../table.ts';

export const memory: Scenario = {
  kind: 'study',
  name: 'memory',
  question: 'How many bytes does an entry take? (key of 20 characters, value of 100)',
  run: runMemory,
};

const HOLDERS: readonly Holder[] = ['Map', 'lru-cache', 'redcache'];
const COUNTS = [10_000, 1_000_000] as const;

async function runMemory(_url: string, effort: Effort): Promise<Findings> {
  const rounds = Math.ceil(effort.rounds / 5);
  const tables: string[] = [];
  for (const count of COUNTS) {
    const figures = await inTurn(HOLDERS, rounds, (holder) => bytesEach(holder, count));
    const bytes = figures.map(median);
    const [, lru] = bytes as [number, number, number];
    tables.push(
      tableOf([
        [`${count.toLocaleString('en')} entries`, 'bytes each', 'more than lru-cache'],
        ...HOLDERS.map((holder, place) => {
          const each = bytes[place] as number;
          return [holder, each.toFixed(0), (each - lru).toFixed(0)];
        }),
      ]),
    );
  }
  return { report: tables, outcomes: [] };
}

/** In a process that has done nothing before. */
async function bytesEach(holder: Holder, count: number): Promise<number> {
  await using process = await BenchProcess.start<object, number>('memory', holder, String(count));
  return await process.ask({});
}
