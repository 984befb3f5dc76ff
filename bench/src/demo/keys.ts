/** What the keys of one run begin with, so that runs on the same Redis do not meet. */
export function namespaceOf(pid: number, startedAtMs: number): string {
  return `redcache-demo:${pid.toString(36)}${Math.floor(startedAtMs).toString(36)}`;
}

/** The key of a country, inside the namespace. */
export const keyOf = (code: string): string => `country:${code}`;

/** What all countries of a region are tagged with. */
export const tagOf = (region: string): string => `region:${region}`;
