import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packageRoot } from './package-root.ts';

/** Where the servers of this run keep their logs; set by the run, inherited by all its processes. */
const VARIABLE = 'REDCACHE_TEST_LOGS';

/** Runs whose logs are kept; the oldest goes when one more comes. */
const KEPT_RUNS = 5;

/** A folder for one deployment: its configuration, its data, its logs. */
export interface LogFolder {
  readonly path: string;
  /** Removes it, unless it belongs to a run: whether that failed is known only at its end. */
  close(): void;
}

export function openLogFolder(kind: string): LogFolder {
  const run = process.env[VARIABLE];
  if (run !== undefined) mkdirSync(run, { recursive: true });
  const path = mkdtempSync(
    join(run ?? tmpdir(), run === undefined ? `redcache-${kind}-` : `${kind}-`),
  );
  return {
    path,
    close: () => {
      if (run === undefined) rmSync(path, { recursive: true, force: true });
    },
  };
}

/** One run of the tests: keeps every server's log if it fails, nothing if it passes. */
export interface LoggedRun {
  readonly path: string;
  end(outcome: 'passed' | 'failed'): void;
}

export function openLoggedRun(): LoggedRun {
  const all = fileURLToPath(new URL('.logs/', packageRoot));
  mkdirSync(all, { recursive: true });
  const older = readdirSync(all).sort();
  for (const run of older.slice(0, Math.max(0, older.length - KEPT_RUNS + 1)))
    rmSync(join(all, run), { recursive: true, force: true });
  const started = new Date().toISOString().replaceAll(/[:.]/g, '-');
  const path = join(all, `${started}-${process.pid}`);
  mkdirSync(path);
  process.env[VARIABLE] = path;
  return {
    path,
    end: (outcome) => {
      delete process.env[VARIABLE];
      if (outcome === 'passed') rmSync(path, { recursive: true, force: true });
    },
  };
}
