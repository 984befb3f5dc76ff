import { execFile, execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fromDebian } from '../support/debian.mjs';

let folder: string;
let unpacked: string;
let env: NodeJS.ProcessEnv;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'redcache-unpack-'));
  unpacked = join(folder, 'unpacked');
  env = { PATH: `${join(folder, 'bin')}:/usr/bin:/bin` };
  tool(
    'apt-get',
    'for each; do case $each in Dir::Cache=*) cache=$(echo "$each" | cut -d= -f2);; esac; last=$each; done',
    'if [ "$last" = redis-server ]; then : > "$cache/archives/redis.deb"; fi',
  );
  packageHolds('#!/bin/sh\necho "Redis server v=7.0.15"');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A stand-in for a tool of Debian. */
function tool(name: string, ...lines: string[]): void {
  mkdirSync(join(folder, 'bin'), { recursive: true });
  const file = join(folder, 'bin', name);
  writeFileSync(file, `#!/bin/sh\n${lines.join('\n')}\n`);
  chmodSync(file, 0o755);
}

/** Makes this program the server in the package. */
function packageHolds(program: string): void {
  const file = join(folder, 'program');
  writeFileSync(file, `${program}\n`);
  chmodSync(file, 0o755);
  tool(
    'dpkg-deb',
    'mkdir -p "$3/usr/bin" "$3/usr/lib/any-linux-gnu"',
    `cp '${file}' "$3/usr/bin/redis-server"`,
  );
}

const unpack = (): string => fromDebian('redis-server', { env, folder: unpacked });
const saysItsVersion = (start: string): string =>
  execFileSync(start, ['--version'], { encoding: 'utf8' });
const roots = (): string[] =>
  readdirSync(unpacked).filter((each) => each.startsWith('redis-server-'));

test('the start script runs the server of the package, wherever the folder is moved to', () => {
  expect(saysItsVersion(unpack())).toContain('v=7.0.15');
  const moved = join(folder, 'moved');
  execFileSync('mv', [unpacked, moved]);
  expect(saysItsVersion(join(moved, 'redis-server.sh'))).toContain('v=7.0.15');
});

test('what is unpacked is used again', () => {
  const start = unpack();
  tool('apt-get', 'exit 1');
  expect(unpack()).toBe(start);
});

test('a start script whose server is gone heals', () => {
  const start = unpack();
  for (const root of roots()) rmSync(join(unpacked, root), { recursive: true });
  expect(unpack()).toBe(start);
  expect(saysItsVersion(start)).toContain('v=7.0.15');
});

test('what a run cut short has left is not taken for a server, and goes in time', () => {
  const half = join(unpacked, 'redis-server-aaaaaa');
  const fresh = join(unpacked, 'redis-server-bbbbbb');
  for (const each of [half, fresh]) mkdirSync(join(each, 'root'), { recursive: true });
  const longAgo = new Date('2020-01-01');
  utimesSync(half, longAgo, longAgo);
  expect(saysItsVersion(unpack())).toContain('v=7.0.15');
  expect(existsSync(half)).toBe(false);
  // It may be the work of a process that is still at it.
  expect(existsSync(fresh)).toBe(true);
});

test('a server that does not run is an error and leaves nothing', () => {
  packageHolds('#!/bin/sh\nexit 1');
  expect(unpack).toThrow('does not run');
  expect(readdirSync(unpacked)).toEqual([]);
});

test('processes that unpack at once all get the same server that runs', async () => {
  const module = fileURLToPath(new URL('../support/debian.mjs', import.meta.url));
  const script = `import { fromDebian } from ${JSON.stringify(module)};
    const [name, folder] = process.argv.slice(1);
    process.stdout.write(fromDebian(name, { folder }));`;
  const args = ['--input-type=module', '-e', script, 'redis-server', unpacked];
  const all = await Promise.all(
    Array.from({ length: 4 }, () => promisify(execFile)(process.execPath, args, { env })),
  );
  const start = join(unpacked, 'redis-server.sh');
  expect(all.map(({ stdout }) => stdout)).toEqual([start, start, start, start]);
  expect(saysItsVersion(start)).toContain('v=7.0.15');
  expect(roots()).toHaveLength(1);
});
