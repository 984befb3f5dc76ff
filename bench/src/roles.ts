/**
 * What a process of a benchmark can be; each is made from its arguments and then gets tasks. Loaded
 * one at a time: what a process does not need would be in its heap and in its time to start.
 */
export const ROLES = {
  contenders: async () => (await import('./roles/contenders.ts')).contendersRole,
  fetcher: async () => (await import('./roles/fetcher.ts')).fetcherRole,
  hitter: async () => (await import('./roles/hitter.ts')).hitterRole,
  holder: async () => (await import('./roles/holder.ts')).holderRole,
  locker: async () => (await import('./roles/locker.ts')).lockerRole,
  memory: async () => (await import('./roles/memory.ts')).memoryRole,
  reader: async () => (await import('./roles/reader.ts')).readerRole,
  stampeder: async () => (await import('./roles/stampeder.ts')).stampederRole,
  storm: async () => (await import('./roles/storm.ts')).stormRole,
  troubled: async () => (await import('./roles/troubled.ts')).troubledRole,
  writer: async () => (await import('./roles/writer.ts')).writerRole,
} as const satisfies Readonly<Record<string, () => Promise<Role>>>;

export type RoleName = keyof typeof ROLES;
type Role = (...args: string[]) => Promise<Work>;

/** Tasks and answers travel as JSON. */
export type Work = (task: unknown) => Promise<unknown>;
