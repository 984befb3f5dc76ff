import { createRequire } from 'node:module';
import { describe, expect, test } from 'vitest';
import { PACKAGES, read } from './repository.ts';

/** Each public subpath and the one file behind it, which lists what is public there. */
const SUBPATHS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  core: {
    '.': 'index',
    './node-redis': 'adapters/node-redis/index',
    './testing': 'testing/index',
    './toolkit': 'toolkit',
  },
  locks: { '.': 'index', './lease': 'lease/index' },
  'cache-aside': {
    '.': 'index',
    './msgpack': 'codecs/msgpack',
    './otel': 'otel/index',
    './testing': 'testing/index',
  },
};

type Target = string | Readonly<Record<string, string>>;
interface Manifest {
  readonly name: string;
  readonly exports: Readonly<Record<string, Target>>;
  readonly publishConfig: { readonly exports: Readonly<Record<string, Target>> };
}

const manifestOf = (name: string): Manifest => JSON.parse(read(`packages/${name}/package.json`));
const { resolve } = createRequire(import.meta.url);

describe.for(PACKAGES)('package %s', (name) => {
  const manifest = manifestOf(name);

  test('has the subpaths that are documented, and no other', () => {
    const expected = Object.entries(SUBPATHS[name] ?? {}).map(([subpath, file]) => [
      subpath,
      {
        'redcache-source': `./src/${file}.ts`,
        types: `./dist/${file}.d.ts`,
        default: `./dist/${file}.js`,
      },
    ]);
    expect(manifest.exports).toEqual({
      ...Object.fromEntries(expected),
      './package.json': './package.json',
    });
  });

  test('publishes the same subpaths, without the way to its sources', () => {
    expect(manifest.publishConfig.exports).toEqual(published(manifest.exports));
  });

  test.for(['dist/index.js', 'dist/index', 'src/index.ts', 'src', 'dist/errors.js'])(
    'hides %s',
    (path) => {
      expect(() => resolve(`${manifest.name}/${path}`)).toThrow(
        expect.objectContaining({ code: 'ERR_PACKAGE_PATH_NOT_EXPORTED' }),
      );
    },
  );

  test('is found here at all, so that hiding means something', () => {
    expect(resolve(`${manifest.name}/package.json`)).toContain(`packages/${name}/package.json`);
  });
});

function published(exports: Manifest['exports']): Record<string, Target> {
  return Object.fromEntries(
    Object.entries(exports).map(([subpath, target]) => {
      if (typeof target === 'string') return [subpath, target];
      const { 'redcache-source': _source, ...rest } = target;
      return [subpath, rest];
    }),
  );
}

test('the way to the sources is what publishing takes away', () => {
  expect(published({ '.': { 'redcache-source': './src/index.ts', default: './x.js' } })).toEqual({
    '.': { default: './x.js' },
  });
});
