// Checks a package as its users get it: packs it, then looks at the tarball and nothing else.
// Runs in the folder of the package, after the build.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, posix } from 'node:path';
import { promisify } from 'node:util';
import { unpack } from '@publint/pack';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';

const exec = promisify(execFile);
const folder = process.cwd();

/** What a tarball may hold. Sources are shipped, so that the maps beside the code lead somewhere. */
const SHIPPED =
  /^(package\.json|README\.md|LICENSE|CHANGELOG\.md|src\/.+\.ts|dist\/.+\.(js|d\.ts)(\.map)?)$/;
const NEEDED = ['README.md', 'LICENSE'];
/** What means something in this workspace only. */
const INTERNAL = ['workspace:', 'catalog:', 'redcache-source'];
/** Tried as imports, and refused by the exports map. */
const HIDDEN = ['dist/index.js', 'dist/index', 'src/index.ts', 'src'];

const work = await mkdtemp(join(tmpdir(), 'redcache-package-'));
try {
  const tarball = await pack();
  const files = await contentsOf(tarball);
  const manifest = JSON.parse(files.get('package.json'));
  checkFiles(files);
  checkManifest(manifest);
  await Promise.all([checkTypes(tarball), checkPublint(tarball, manifest)]);
  await checkImports(files, manifest);
  console.log(`${manifest.name}: ${files.size} files packed, no flaw`);
} catch (error) {
  console.error(error instanceof assert.AssertionError ? error.message : error);
  process.exitCode = 1;
} finally {
  await rm(work, { recursive: true, force: true });
}

/** With pnpm, which writes real ranges for `workspace:` and `catalog:`, and the published exports. */
async function pack() {
  await exec('pnpm', ['pack', '--pack-destination', work]);
  const name = (await readdir(work)).find((each) => each.endsWith('.tgz'));
  return join(work, name);
}

async function bytesOf(tarball) {
  const { buffer, byteOffset, byteLength } = await readFile(tarball);
  return buffer.slice(byteOffset, byteOffset + byteLength);
}

async function contentsOf(tarball) {
  const { files, rootDir } = await unpack(await bytesOf(tarball));
  const text = new TextDecoder();
  return new Map(files.map(({ name, data }) => [posix.relative(rootDir, name), text.decode(data)]));
}

function checkFiles(files) {
  for (const name of NEEDED) assert.ok(files.has(name), `${name} is missing in the tarball`);
  const strays = [...files.keys()].filter((name) => !SHIPPED.test(name));
  assert.deepEqual(strays, [], `in the tarball, but of no use there: ${strays}`);
  for (const [name, text] of files)
    for (const source of name.endsWith('.map') ? JSON.parse(text).sources : [])
      assert.ok(
        files.has(posix.join(posix.dirname(name), source)),
        `${name} leads to ${source}, which is not in the tarball`,
      );
}

function checkManifest(manifest) {
  const text = JSON.stringify(manifest);
  for (const word of INTERNAL)
    assert.ok(!text.includes(word), `"${word}" is left in the published package.json`);
}

async function checkTypes(tarball) {
  await exec('attw', [tarball, '--profile', 'esm-only', '--no-color', '--no-emoji']).catch(
    ({ stdout, message }) => assert.fail(`attw: ${stdout || message}`),
  );
}

async function checkPublint(tarball, manifest) {
  const { messages } = await publint({ pack: { tarball: await bytesOf(tarball) }, strict: true });
  const said = messages.map((each) => formatMessage(each, manifest, { color: false })).join('\n');
  assert.equal(said, '', `publint: ${said}`);
}

/** Lays the package out as installed: its subpaths load with import and require, the rest does not. */
async function checkImports(files, manifest) {
  const modules = join(work, 'node_modules');
  for (const [name, text] of files) {
    const path = join(modules, manifest.name, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }
  for (const name of Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })) {
    await mkdir(dirname(join(modules, name)), { recursive: true });
    await symlink(join(folder, 'node_modules', name), join(modules, name), 'dir');
  }
  const subpaths = Object.keys(manifest.exports).filter((each) => each !== './package.json');
  const [open, hidden] = [subpaths, HIDDEN].map((paths) =>
    JSON.stringify(paths.map((path) => posix.join(manifest.name, path))),
  );
  const script = join(work, 'imports.mjs');
  await writeFile(
    script,
    `import assert from 'node:assert/strict';
    import { createRequire } from 'node:module';
    const require = createRequire(import.meta.url);
    for (const name of ${open}) {
      const names = Object.keys(await import(name));
      assert.ok(names.length > 0, name + ' exports nothing');
      for (const each of names) assert.ok(each in require(name), each + ' is missing under require()');
    }
    for (const name of ${hidden})
      await assert.rejects(import(name), { code: 'ERR_PACKAGE_PATH_NOT_EXPORTED' }, name);`,
  );
  await exec(process.execPath, [script]).catch(({ stderr }) => assert.fail(`imports: ${stderr}`));
}
