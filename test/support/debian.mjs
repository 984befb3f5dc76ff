// Unpacks a server from Debian's packages into a folder, as any user and without installing it.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('../../.redis', import.meta.url));
/** Longer than any unpacking takes: what is older and not in use was left by a run cut short. */
const LEFTOVER_MS = 3_600_000;
/** Where dpkg lists what is installed. */
const INSTALLED = '/var/lib/dpkg/status';

export const canUnpack = (env = process.env) =>
  ['apt-get', 'dpkg-deb'].every((tool) => !spawnSync(tool, ['--version'], { env }).error);

/**
 * The path of a start script for the server of Debian's package `name`, unpacked if it is not yet.
 *
 * Each unpacking has a folder of its own, and the start script appears in one step when the server
 * in it has proved to run. So a run cut short leaves nothing that looks finished, and of two at
 * once the later one uses what the earlier one put there.
 *
 * With `release` the package comes from that Debian release together with its own C library, so
 * that a newer Redis or Valkey runs on an older system.
 */
export function fromDebian(name, { release, env = process.env, folder = FOLDER, onUnpack } = {}) {
  const id = release === undefined ? name : `${release}-${name}`;
  const start = join(folder, `${id}.sh`);
  if (runs(start)) return start;
  onUnpack?.(`no server here yet; unpacking Debian's ${name} into ${basename(folder)}/`);
  mkdirSync(folder, { recursive: true });
  sweep(folder, id, start);
  const into = mkdtempSync(join(folder, `${id}-`));
  try {
    const made = unpack(name, { release, env, into });
    if (!runs(made)) throw new Error(`Debian's ${name} is unpacked, but does not run here`);
    if (!settle(made, start)) rmSync(into, { recursive: true, force: true });
  } catch (error) {
    rmSync(into, { recursive: true, force: true });
    throw error;
  }
  return start;
}

const runs = (file) => existsSync(file) && spawnSync(file, ['--version']).status === 0;

/** Puts `made` in the place of `start`, unless one that runs is there by now. */
function settle(made, start) {
  try {
    // A link, unlike a rename, never replaces what another process has just put there.
    linkSync(made, start);
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
  if (runs(start)) return false;
  renameSync(made, start);
  return true;
}

function sweep(folder, id, start) {
  const used = existsSync(start) ? readFileSync(start, 'utf8') : '';
  for (const each of readdirSync(folder)) {
    if (!each.startsWith(`${id}-`) || used.includes(each)) continue;
    const path = join(folder, each);
    // Another process may have removed it by now.
    const writtenAtMs = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (Date.now() - writtenAtMs > LEFTOVER_MS) rmSync(path, { recursive: true, force: true });
  }
}

/** Fetches and unpacks the package with what it needs into `into`; answers its start script. */
function unpack(name, { release, env, into }) {
  fetchPackages(name, { release, env, into });
  const root = join(into, 'root');
  const archives = join(into, 'cache/archives');
  for (const file of readdirSync(archives))
    if (file.endsWith('.deb'))
      execFileSync('dpkg-deb', ['-x', join(archives, file), root], { env });
  for (const each of ['lists', 'cache']) rmSync(join(into, each), { recursive: true, force: true });

  const triplet = readdirSync(join(root, 'usr/lib')).find((each) => each.endsWith('-linux-gnu'));
  const libs = `usr/lib/${triplet ?? ''}`;
  const loader =
    release && readdirSync(join(root, libs)).find((each) => each.startsWith('ld-linux'));
  const run = loader
    ? `exec "$root/${libs}/${loader}" --library-path "$root/${libs}" "$root/usr/bin/${name}" "$@"`
    : `LD_LIBRARY_PATH="$root/${libs}" exec "$root/usr/bin/${name}" "$@"`;
  // It lies beside its folder in the end, and inside it while it is tried.
  const find = `here=$(dirname "$0")\nroot="$here/${basename(into)}/root"\n[ -d "$root" ] || root="$here/root"`;
  const start = join(into, 'start');
  writeFileSync(start, `#!/bin/sh\n${find}\n${run}\n`);
  chmodSync(start, 0o755);
  return start;
}

/** apt with state folders of its own, so that it needs no rights and changes nothing outside. */
function fetchPackages(name, { release, env, into }) {
  for (const each of ['lists/partial', 'cache/archives/partial', 'root'])
    mkdirSync(join(into, each), { recursive: true });
  const status = join(into, 'status');
  // With a release of its own, nothing counts as installed: every library comes along.
  if (!release && existsSync(INSTALLED)) copyFileSync(INSTALLED, status);
  else writeFileSync(status, '');
  const options = [
    `Dir::State::lists=${into}/lists`,
    `Dir::State::status=${status}`,
    `Dir::Cache=${into}/cache`,
    'Debug::NoLocking=1',
    'APT::Sandbox::User=',
  ];
  if (release) {
    const list = join(into, 'sources.list');
    const key = '[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]';
    writeFileSync(list, `deb ${key} ${debianArchive(env)} ${release} main\n`);
    options.push(`Dir::Etc::sourcelist=${list}`, 'Dir::Etc::sourceparts=/dev/null');
  }
  const apt = (...args) =>
    execFileSync('apt-get', [...options.flatMap((each) => ['-o', each]), '-qq', ...args], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...env, LC_ALL: 'C' },
    });
  apt('update');
  apt('install', '-y', '--no-install-recommends', '--download-only', name);
}

/** The archive this machine's own apt uses; every Debian release lives in it. */
function debianArchive(env) {
  const format = ['--format', '$(REPO_URI)', 'Created-By: Packages', 'Origin: Debian'];
  const found = execFileSync('apt-get', ['indextargets', ...format], { encoding: 'utf8', env });
  const archive = found.split('\n').find((uri) => /\/debian\/?$/.test(uri));
  if (!archive) throw new Error('apt knows no Debian archive here; run apt-get update first');
  return archive;
}
