import { posix } from 'node:path';
import { importsOf, packageOf } from './imports.ts';

/** Source files of a package by their path from its `src` folder, with `/` in between. */
export type Sources = ReadonlyMap<string, string>;

/** Imports point one way: what each package may take from its siblings. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  locks: ['@redcache/core'],
  'cache-aside': ['@redcache/core', '@redcache/locks'],
};

/** The rooms of core that know a Redis client. */
const ADAPTERS = 'adapters/';
/** The room of cache-aside that knows OpenTelemetry. */
const OTEL = 'otel/';

/** What imports of a package break the order of the rooms, one line each. */
export function wrongImports(name: string, sources: Sources): string[] {
  return eachImport(sources).flatMap(([file, specifier]) => {
    const flaw = flawOf(name, file, specifier);
    return flaw === undefined ? [] : [`${name}/src/${file}: '${specifier}' ${flaw}`];
  });
}

function flawOf(name: string, file: string, specifier: string): string | undefined {
  const target = packageOf(specifier);
  if (target === undefined) {
    const leaves = specifier.startsWith('.') && resolved(file, specifier).startsWith('../');
    return leaves ? 'leaves the package' : undefined;
  }
  if (target.startsWith('@redcache/') && !MAY_IMPORT[name]?.includes(target))
    return 'points the wrong way';
  if (target === 'redis' || target.startsWith('@redis/')) {
    const allowed = name === 'core' && file.startsWith(ADAPTERS);
    return allowed ? undefined : 'belongs to the adapters of core alone';
  }
  if (target.startsWith('@opentelemetry/')) {
    const allowed = name === 'cache-aside' && file.startsWith(OTEL);
    return allowed ? undefined : 'belongs to the room otel of cache-aside alone';
  }
  return undefined;
}

/** The circles among the files of a package, types included, each as `a → b → a`. */
export function circles(sources: Sources): string[] {
  const next = new Map<string, string[]>();
  for (const [file, specifier] of eachImport(sources))
    if (specifier.startsWith('.'))
      next.set(file, [...(next.get(file) ?? []), resolved(file, specifier)]);
  const found: string[] = [];
  const done = new Set<string>();
  const walk = (file: string, path: readonly string[]): void => {
    const from = path.indexOf(file);
    if (from >= 0) found.push([...path.slice(from), file].join(' → '));
    if (from >= 0 || done.has(file)) return;
    for (const each of next.get(file) ?? []) walk(each, [...path, file]);
    done.add(file);
  };
  for (const file of sources.keys()) walk(file, []);
  return found;
}

const resolved = (file: string, specifier: string): string =>
  posix.join(posix.dirname(file), specifier);

const eachImport = (sources: Sources): [file: string, specifier: string][] =>
  [...sources].flatMap(([file, source]) =>
    importsOf(file, source).map((specifier): [string, string] => [file, specifier]),
  );
