import { describe, expect, test } from 'vitest';
import { machinePaths } from './machine-paths.ts';
import { ROOT, read, textFiles } from './repository.ts';

/** Where a package comes from is the business of whoever installs, not of the lock file. */
const origins = (lock: string): string[] =>
  lock.split('\n').filter((line) => /https?:\/\/|\b(resolved|tarball):/.test(line));

test('the lock file names no registry', () => {
  const lock = read('pnpm-lock.yaml');
  expect(lock).toMatch(/^lockfileVersion:/);
  expect(origins(lock)).toEqual([]);
});

test('no file holds a path of the machine it was written on', () => {
  const texts = textFiles();
  expect([...texts.keys()]).toContain('package.json');
  const found = [...texts].flatMap(([file, text]) =>
    machinePaths(text, ROOT).map((line) => `${file}: ${line.trim()}`),
  );
  expect(found).toEqual([]);
});

describe('the checks themselves', () => {
  test.for([
    '    resolved: somewhere',
    '    resolution: {tarball: x.tgz}',
    '    resolution: {integrity: sha512-x, tarball: https://host/x.tgz}',
  ])('see the origin in `%s`', (line) => {
    expect(origins(`lockfileVersion: '9.0'\n${line}`)).toEqual([line]);
  });

  // Put together here, so that this file does not hold what it looks for.
  const path = (...parts: string[]): string => ['', ...parts, ''].join('/');

  test.for([
    `import x from '${path('home', 'ada', 'x')}'`,
    `see ${path('Users', 'ada', 'x')}`,
    `at ${path('root', '.cache')}`,
    ['C:', 'Users', 'ada'].join('\\'),
    ['"C:', 'Users', 'ada'].join('\\\\'),
    `file://${path('srv', 'project')}package.json`,
  ])('see the machine in `%s`', (line) => {
    expect(machinePaths(`a\n${line}\nb`, path('srv', 'project'))).toEqual([line]);
  });

  test.for(['packages/core/src', './home/page', '/usr/bin/env', '/var/run/docker.sock', '/tmp/x'])(
    'pass `%s`',
    (line) => {
      expect(machinePaths(line, path('srv', 'project'))).toEqual([]);
    },
  );
});
