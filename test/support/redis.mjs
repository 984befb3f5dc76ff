// Finds a Redis-compatible server for the tests, the demo and the benchmarks. Needs Node alone.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import http from 'node:http';
import { homedir } from 'node:os';
import { basename, delimiter, join, resolve } from 'node:path';
import { canUnpack, fromDebian } from './debian.mjs';

const NAMES = ['redis-server', 'valkey-server'];
/** Redis 7 and every Valkey know all commands that redcache and its tests send. */
const OLDEST_MAJOR = 7;
const IMAGE = 'redis:8';
const DOCKER_PROBE_MS = 1_500;

/**
 * A Redis to work with: a running one by its URL, or a server to start.
 *
 * Order: REDCACHE_REDIS_SERVER · REDIS_URL · a server on the PATH · Docker · Debian's package.
 * Says: one line on standard error about what it found.
 * Throws: an Error that says what to do when there is none.
 */
export async function findRedis(env = process.env) {
  if (!env.REDIS_URL || env.REDCACHE_REDIS_SERVER) return findServer(env);
  if (!URL.canParse(env.REDIS_URL) || !/^rediss?:$/.test(new URL(env.REDIS_URL).protocol))
    throw new Error('REDIS_URL is not the URL of a Redis server, such as redis://127.0.0.1:6379');
  // A URL may hold a password, so only the place is said.
  say(`using the server at ${new URL(env.REDIS_URL).host} (REDIS_URL)`);
  return { url: env.REDIS_URL };
}

/**
 * A server to start, kill and flush at will: as {@link findRedis}, but never REDIS_URL.
 *
 * The finding is kept in `env.REDCACHE_REDIS_FOUND`, so that this process and those it starts
 * neither search nor say it again.
 */
export async function findServer(env = process.env) {
  if (env.REDCACHE_REDIS_FOUND) return JSON.parse(env.REDCACHE_REDIS_FOUND);
  const { line, ...found } =
    chosen(env) ?? onPath(env) ?? (await inDocker(env)) ?? unpacked(env) ?? nothing();
  say(`using ${line}`);
  env.REDCACHE_REDIS_FOUND = JSON.stringify(found);
  return found;
}

/** What REDCACHE_REDIS_SERVER names: the path of a binary, or `debian:PACKAGE@RELEASE`. */
function chosen(env) {
  const wish = env.REDCACHE_REDIS_SERVER;
  if (!wish) return undefined;
  const [, name, release] = /^debian:([a-z-]+)(?:@([a-z-]+))?$/.exec(wish) ?? [];
  const server = name === undefined ? resolve(wish) : fromDebian(name, { release, env });
  const { version, flaw } = inspect(server);
  if (flaw) throw new Error(`REDCACHE_REDIS_SERVER: ${server} ${flaw}`);
  return {
    server,
    line: `${name ?? basename(server)} ${version} at ${server} (REDCACHE_REDIS_SERVER)`,
  };
}

function onPath(env) {
  for (const name of NAMES)
    for (const server of allOnPath(name, env)) {
      const { version, flaw } = inspect(server);
      if (!flaw) return { server, line: `${name} ${version} at ${server} (PATH)` };
      say(`${server} ${flaw}; looking further`);
    }
  return undefined;
}

async function inDocker(env) {
  if (!(await dockerAnswers(env))) return undefined;
  const image = env.REDCACHE_REDIS_IMAGE || IMAGE;
  return { docker: true, image, line: `${image} in Docker` };
}

function unpacked(env) {
  if (!canUnpack(env)) return undefined;
  let server;
  try {
    server = fromDebian('redis-server', { env, onUnpack: say });
  } catch (error) {
    say(`Debian's redis-server could not be unpacked: ${error.message.split('\n', 1)[0]}`);
    return undefined;
  }
  const { version, flaw } = inspect(server);
  if (!flaw)
    return { server, line: `redis-server ${version} at ${server} (Debian's package, unpacked)` };
  say(`${server} ${flaw}; looking further`);
  return undefined;
}

function nothing() {
  throw new Error(
    [
      'No Redis server found. Do one of these and run again:',
      `  - install redis-server or valkey-server, ${OLDEST_MAJOR}.0 or newer, so that it is on the PATH`,
      '  - set REDCACHE_REDIS_SERVER to the path of such a binary',
      '  - start Docker',
      '  - for the demo and the benchmarks: set REDIS_URL to a running server',
      '    (not for the tests: they start servers of their own, kill and flush them)',
    ].join('\n'),
  );
}

/** What the binary says of itself, or the flaw for which it is not used. */
function inspect(file) {
  const { stdout } = spawnSync(file, ['--version'], { encoding: 'utf8', timeout: 5_000 });
  const version = /\bv=(\d+\.\d+\.\d+)/.exec(stdout ?? '')?.[1];
  if (version === undefined) return { flaw: 'does not say its version' };
  if (Number.parseInt(version, 10) < OLDEST_MAJOR)
    return { flaw: `is ${version}, and ${OLDEST_MAJOR}.0 or newer is needed` };
  return { version };
}

/** Every executable file of this name on the PATH, first come first. */
export function allOnPath(name, env = process.env) {
  const files = (env.PATH ?? '').split(delimiter).map((folder) => join(folder || '.', name));
  return files.filter((file) => {
    try {
      accessSync(file, constants.X_OK);
      return statSync(file).isFile();
    } catch {
      return false;
    }
  });
}

/** True when a Docker engine answers; the client alone is not enough. */
async function dockerAnswers(env) {
  const signal = AbortSignal.timeout(DOCKER_PROBE_MS);
  const ping = (target) =>
    new Promise((answered, silent) => {
      const request = http.get({ ...target, path: '/_ping', signal }, (response) => {
        response.resume();
        if (response.statusCode === 200) answered();
        else silent(new Error(`status ${response.statusCode}`));
      });
      request.on('error', silent);
    });
  return Promise.any(dockerTargets(env).map(ping)).then(
    () => true,
    () => false,
  );
}

/** The places where testcontainers looks for an engine. */
function dockerTargets(env) {
  if (!env.DOCKER_HOST) {
    const run = env.XDG_RUNTIME_DIR ?? `/run/user/${process.getuid?.()}`;
    const home = env.HOME ?? homedir();
    return [
      '/var/run/docker.sock',
      join(run, 'docker.sock'),
      join(run, '.docker/run/docker.sock'),
      join(home, '.docker/run/docker.sock'),
      join(home, '.docker/desktop/docker.sock'),
    ].map((socketPath) => ({ socketPath }));
  }
  if (env.DOCKER_HOST.startsWith('unix://')) return [{ socketPath: env.DOCKER_HOST.slice(7) }];
  const address = env.DOCKER_HOST.replace(/^tcp:/, 'http:');
  if (!URL.canParse(address)) return [];
  const { hostname: host, port } = new URL(address);
  return [{ host, port: port || 2375 }];
}

function say(line) {
  console.error(`redcache: ${line}`);
}
