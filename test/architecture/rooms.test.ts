import { describe, expect, test } from 'vitest';
import { PACKAGES, sourcesOf } from './repository.ts';
import { circles, type Sources, wrongImports } from './rooms.ts';

const sources = (files: Record<string, string>): Sources => new Map(Object.entries(files));

describe.for(PACKAGES)('package %s', (name) => {
  test('has sources', () => expect(sourcesOf(name).size).toBeGreaterThan(0));

  test('imports nothing against the order of the rooms', () => {
    expect(wrongImports(name, sourcesOf(name))).toEqual([]);
  });

  test('has no circular imports', () => {
    expect(circles(sourcesOf(name))).toEqual([]);
  });
});

test('core names neither locks nor cache-aside, not even in a comment', () => {
  const naming = [...sourcesOf('core')].filter(([, text]) => namesALaterPackage(text));
  expect(naming.map(([file]) => file)).toEqual([]);
});

const namesALaterPackage = (text: string): boolean => /@redcache\/(locks|cache-aside)/.test(text);

describe('the checks themselves', () => {
  test.for([
    ['core', 'index.ts', '@redcache/locks'],
    ['core', 'adapters/x.ts', '@redcache/cache-aside'],
    ['locks', 'index.ts', '@redcache/cache-aside'],
    ['locks', 'index.ts', '@redcache/locks'],
    ['core', 'index.ts', 'redis'],
    ['core', 'store/adapters/x.ts', 'redis'],
    ['locks', 'adapters/x.ts', 'redis'],
    ['cache-aside', 'index.ts', '@redis/client'],
    ['cache-aside', 'stats.ts', '@opentelemetry/api'],
    ['core', 'otel/x.ts', '@opentelemetry/api'],
    ['core', 'store/lru.ts', '../../test/lru.ts'],
    ['locks', 'index.ts', '../../core/src/index.ts'],
  ] as const)('in %s, %s must not import %s', ([name, file, specifier]) => {
    const found = wrongImports(name, sources({ [file]: `import type { A } from '${specifier}';` }));
    expect(found).toEqual([expect.stringContaining(`${name}/src/${file}: '${specifier}'`)]);
  });

  test.for([
    ['core', 'adapters/node-redis/index.ts', 'redis'],
    ['core', 'adapters/x.ts', '@redis/client'],
    ['core', 'index.ts', 'lru-cache'],
    ['core', 'store/lru.ts', '../clock.ts'],
    ['locks', 'index.ts', '@redcache/core/node-redis'],
    ['cache-aside', 'index.ts', '@redcache/locks/lease'],
    ['cache-aside', 'otel/metrics.ts', '@opentelemetry/api'],
  ] as const)('in %s, %s may import %s', ([name, file, specifier]) => {
    expect(wrongImports(name, sources({ [file]: `import '${specifier}';` }))).toEqual([]);
  });

  test('a circle is found, through folders and types as well', () => {
    const ring = sources({
      'index.ts': "export * from './a/one.ts';",
      'a/one.ts': "import { two } from '../b/two.ts';",
      'b/two.ts': "import type { One } from '../a/one.ts';",
    });
    expect(circles(ring)).toEqual(['a/one.ts → b/two.ts → a/one.ts']);
  });

  test('two ways to one file are no circle', () => {
    const diamond = sources({
      'index.ts': "import './a.ts'; import './b.ts';",
      'a.ts': "import './c.ts';",
      'b.ts': "import './c.ts';",
      'c.ts': '',
    });
    expect(circles(diamond)).toEqual([]);
  });

  test('a name of a later package is seen', () => {
    expect(namesALaterPackage('// used by @redcache/locks')).toBe(true);
    expect(namesALaterPackage('// who locks a key')).toBe(false);
  });
});
