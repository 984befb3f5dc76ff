import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { check } from '../src/check.ts';
import { type ResultFile, writeResultFile } from '../src/result-file.ts';
import { changed, examplePanel, fileOf } from './result-examples.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'redcache-check-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function checked(before: ResultFile, after: ResultFile, ...options: string[]) {
  const paths = ['before', 'after'].map((name) => join(folder, `${name}.json`));
  await writeResultFile(paths[0] as string, before);
  await writeResultFile(paths[1] as string, after);
  return run(...paths, ...options);
}

async function run(...args: string[]) {
  const [out, err]: [string[], string[]] = [[], []];
  const code = await check(args, { out: (text) => out.push(text), err: (text) => err.push(text) });
  return { code, out: out.join('\n'), err: err.join('\n') };
}

const file = fileOf(examplePanel);

test('what is as it was passes', async () => {
  const { code, out } = await checked(file, file);
  expect(code).toBe(0);
  expect(out).toBe('0 worse, 0 better, 1 the same as far as can be told');
});

test('a regression fails, with its row, its figures and its change', async () => {
  const { code, out } = await checked(file, fileOf(changed(examplePanel, 'ours', 1.25)));
  expect(code).toBe(1);
  expect(out).toMatch(/hit, a call, ours +200 ns +250 ns +\+25\.0 % +2\.0 % +WORSE/);
  expect(out).toContain('1 worse, 0 better');
});

test('an improvement passes, and what stayed the same is said if it is asked for', async () => {
  const better = await checked(file, fileOf(changed(examplePanel, 'ours', 0.5)));
  expect(better).toMatchObject({ code: 0 });
  expect(better.out).toMatch(/−50\.0 % .*BETTER/);
  expect((await checked(file, file, '--all')).out).toMatch(/ours +200 ns +200 ns +\+0\.0 %/);
});

test('files of other machines or efforts are refused unless that is what is wanted', async () => {
  const other = { ...file, machine: { ...file.machine, cpu: 'Example 4000' } };
  const refused = await checked(file, other);
  expect(refused.code).toBe(2);
  expect(refused.err).toContain('2 × Example 3000 and 2 × Example 4000');
  expect((await checked(file, other, '--unlike')).code).toBe(0);
  expect((await checked(file, { ...file, effort: 'quick' })).err).toContain('full and quick');
});

test('versions that are not the same are said', async () => {
  const versions = { ...file.versions, node: '22.0.0' };
  const { out } = await checked(file, { ...file, versions });
  expect(out).toContain('Node: 20.19.0 before, 22.0.0 after');
});

test('files with nothing of ours in common, one file, or none that is there: says so', async () => {
  expect((await checked(file, { ...file, scenarios: [] })).err).toContain('nothing of ours');
  expect((await run('one.json')).err).toContain('two files');
  const missing = await run(join(folder, 'none.json'), join(folder, 'none.json'));
  expect(missing).toMatchObject({ code: 2 });
  expect(missing.err).toContain('none.json');
  expect((await run('--wrong')).code).toBe(2);
});
