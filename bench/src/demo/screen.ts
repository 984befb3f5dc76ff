import type { WriteStream } from 'node:tty';
import { styleText } from 'node:util';
import { count, percent, time } from './format.ts';
import type { Percentiles, Snapshot } from './snapshot.ts';

type Style = Parameters<typeof styleText>[0];

/** Colours where the user wants them: in a terminal, unless NO_COLOR says otherwise. */
export function paint(style: Style, text: string): string {
  return process.stdout.isTTY && !process.env.NO_COLOR ? styleText(style, text) : text;
}

/** Shows how things stand: a table that is drawn anew in place, or a line where there is no terminal. */
export class Screen {
  readonly #output: WriteStream = process.stdout;
  readonly #seconds: number;
  #drawnRows = 0;

  constructor(seconds: number) {
    this.#seconds = seconds;
  }

  /** How often it is worth showing something. */
  get everyMs(): number {
    return this.#output.isTTY ? 500 : 1000;
  }

  show(snapshot: Snapshot): void {
    if (!this.#output.isTTY) {
      this.#output.write(`${lineOf(snapshot)}\n`);
      return;
    }
    const rows = tableOf(snapshot, this.#seconds);
    // Up to where the last table began, and nothing left of it below.
    const back = this.#drawnRows === 0 ? '' : `\x1b[${this.#drawnRows}A\x1b[J`;
    this.#output.write(`${back}${rows.join('\n')}\n`);
    this.#drawnRows = rows.length;
  }
}

const both = ({ p50, p99 }: Percentiles): string => `p50 ${time(p50)}, p99 ${time(p99)}`;
const alarming = (found: number): string =>
  paint(found === 0 ? 'green' : ['red', 'bold'], count(found));

function lineOf(now: Snapshot): string {
  return [
    `${(now.elapsedMs / 1e3).toFixed(0).padStart(4)} s`,
    `${count(now.readsPerSecond)} reads/s`,
    `memory ${percent(now.local, now.reads)}`,
    `aged ${percent(now.aged, now.reads)}`,
    `Redis ${percent(now.shared, now.reads)}`,
    `loads ${count(now.loads)} (${count(now.reads - now.loads)} saved)`,
    `invalidations ${count(now.pushes)}`,
    `read ${both(now.readMs)}`,
    `wait ${both(now.waitMs)}`,
    `stale ${count(now.stale)}`,
    `double loads ${count(now.doubleLoads)}`,
    ...troublesOf(now),
  ].join(' · ');
}

function tableOf(now: Snapshot, seconds: number): string[] {
  const elapsed = `${(now.elapsedMs / 1e3).toFixed(1)} of ${seconds} s`;
  const troubles = troublesOf(now).map((trouble) => paint(['yellow', 'bold'], `   ${trouble}`));
  const rows: [label: string, value: string, note: string][] = [
    ['reads', count(now.reads), `${count(now.readsPerSecond)}/s`],
    ['  from memory', count(now.local), percent(now.local, now.reads)],
    ['  aged, served on', count(now.aged), percent(now.aged, now.reads)],
    ['  from Redis, or waited', count(now.shared), percent(now.shared, now.reads)],
    ['loads', count(now.loads), `${count(now.reads - now.loads)} saved`],
    ['updates', count(now.updates), `${count(now.pushes)} invalidations received`],
    ['read latency', time(now.readMs.p50), `p99 ${time(now.readMs.p99)}`],
    ['wait latency', time(now.waitMs.p50), `p99 ${time(now.waitMs.p99)}`],
    ['late reads', count(now.late), `latest by ${time(now.worstLatenessMs)}`],
    ['stale reads', alarming(now.stale), ''],
    ['double loads', alarming(now.doubleLoads), ''],
  ];
  return [
    `${paint('bold', elapsed)}${troubles.join('')}`,
    ...rows.map(([label, value, note]) => `  ${label.padEnd(24)}${pad(value)}  ${note}`),
  ];
}

const troublesOf = (now: Snapshot): string[] => [
  ...(now.redisIsAway ? ['Redis is away'] : []),
  ...(now.databaseIsStopped ? ['the database is stopped'] : []),
];

/** To the right of ten columns, colours not counted. */
function pad(value: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are control characters
  const width = value.replace(/\x1b\[\d+m/g, '').length;
  return ' '.repeat(Math.max(0, 10 - width)) + value;
}
