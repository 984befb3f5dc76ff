import type { Contender, Standing } from '../panel.ts';

/** What a value is loaded by when it is nowhere. */
export type Load = () => Promise<number> | number;

/**
 * One library between a service and its source, with connections of its own, as if it were in a
 * process of its own. It ends with its process at the latest.
 */
export interface Aside {
  get(key: string, load: Load): Promise<unknown>;
  /** Has changed the source, and says so to all processes. */
  invalidate(key: string): Promise<unknown>;
  /** Calls when the copy of this process is gone because another one said so. */
  onGone?(key: string, gone: () => void): void;
  /** Takes its clients away without asking the server, which may be gone. */
  destroy(): void;
}

export type AsideName = keyof typeof OPENERS;
type Opener = (url: string, namespace: string) => Promise<Aside>;

/** Each is loaded where it is measured. */
const OPENERS = {
  publish: async () => (await import('./publish.ts')).openPublish,
  redcache: async () => (await import('./redcache.ts')).openRedcache,
  'client.get, redcache': async () => (await import('./redcache.ts')).openTrackedClient,
  bentocache: async () => (await import('./bentocache.ts')).openBentocache,
  'layered-loader': async () => (await import('./layered-loader.ts')).openLayeredLoader,
} as const satisfies Readonly<Record<string, () => Promise<Opener>>>;

export async function openAside(name: AsideName, url: string, namespace: string): Promise<Aside> {
  const open = await OPENERS[name]();
  return open(url, namespace);
}

const STANDINGS: Readonly<Record<AsideName, Standing>> = {
  publish: 'limit',
  redcache: 'ours',
  'client.get, redcache': 'ours',
  bentocache: 'peer',
  'layered-loader': 'peer',
};
const TITLES: Readonly<Partial<Record<AsideName, string>>> = {
  publish: 'PUBLISH to a subscriber',
};

export const contenderOf = (name: AsideName): Contender => ({
  name: TITLES[name] ?? name,
  standing: STANDINGS[name],
});
