import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { cpus, loadavg, release, totalmem, type } from 'node:os';
import { promisify } from 'node:util';
import type { ResultFile } from './result-file.ts';
import { ServerProbe } from './server-probe.ts';

const run = promisify(execFile);
const here = (path: string): URL => new URL(path, import.meta.url);

/** Where and with what a run takes place. */
export async function surroundingsOf(
  url: string,
): Promise<Pick<ResultFile, 'commit' | 'machine' | 'versions'>> {
  const [load] = loadavg();
  const cores = cpus();
  return {
    commit: await commitOf(),
    machine: {
      cpu: cores[0]?.model.trim() || 'unknown',
      cores: cores.length,
      memoryBytes: totalmem(),
      // Who built the kernel says nothing of its speed.
      os: `${type()} ${/^[\d.]+/.exec(release())?.[0] ?? ''} ${process.arch}`,
      load: load as number,
    },
    versions: {
      node: process.versions.node,
      redis: await serverVersion(url),
      packages: await packageVersions(),
    },
  };
}

async function commitOf(): Promise<ResultFile['commit']> {
  try {
    const cwd = here('.');
    const { stdout: id } = await run('git', ['rev-parse', 'HEAD'], { cwd });
    const { stdout: changes } = await run('git', ['status', '--porcelain'], { cwd });
    return { id: id.trim(), isChanged: changes.trim() !== '' };
  } catch {
    return null;
  }
}

async function serverVersion(url: string): Promise<string> {
  await using probe = await ServerProbe.open(url);
  const valkey = await probe.text('server', 'valkey_version');
  return valkey === undefined
    ? `Redis ${await probe.text('server', 'redis_version')}`
    : `Valkey ${valkey}`;
}

/** Of the libraries that are measured, and of those that measure. */
async function packageVersions(): Promise<Record<string, string>> {
  const { dependencies, devDependencies } = JSON.parse(
    await readFile(here('../package.json'), 'utf8'),
  );
  const versions: Record<string, string> = {};
  for (const name of Object.keys({ ...dependencies, ...devDependencies }).sort()) {
    const manifest = here(`../node_modules/${name}/package.json`);
    versions[name] = JSON.parse(await readFile(manifest, 'utf8')).version ?? 'of this commit';
  }
  return versions;
}

/** `2026-11-22-0415-intel-xeon`: in the time of the world, and with nothing that a path can't have. */
export function resultName(date: Date, cpu: string): string {
  const [day, time] = date.toISOString().split('T') as [string, string];
  const model = cpu
    .replaceAll(/\((r|tm|c)\)|\b(cpu|processor)\b|@.*$/gi, ' ')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '');
  return `${day}-${time.slice(0, 5).replace(':', '')}-${model || 'unknown'}`;
}
