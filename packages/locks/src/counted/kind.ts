import type { Access } from '../options.ts';

/** A lock that several may hold at once: how many, and whether some of them want it alone. */
export interface Kind {
  /** Stands in the gate of the lock, so that no two kinds share a key. */
  readonly name: string;
  /** How many may hold it beside each other; whoever writes always holds it alone. */
  readonly permits: number;
}

export function semaphoreOf(permits: number): Kind {
  return { name: `semaphore:${permits}`, permits };
}

/** Any number may read. */
export const READ_WRITE: Kind = { name: 'readwrite', permits: Number.MAX_SAFE_INTEGER };

/** In words, of whatever stands in a gate. */
export function describeKind(name: string): string {
  const [, permits] = /^semaphore:(\d+)$/.exec(name) ?? [];
  if (permits !== undefined) return `a semaphore of ${permits} permits`;
  return name === READ_WRITE.name ? 'a read-write lock' : 'something else';
}

/** What the scripts tell a writer by. No holder id begins with it. */
const WRITER = 'w:';

/** How a holder is called in the sets beside the gate. */
export function memberOf(holder: string, access: Access | undefined): string {
  return access === 'write' ? `${WRITER}${holder}` : holder;
}

export function readMember(member: string): { readonly holder: string; readonly access: Access } {
  return member.startsWith(WRITER)
    ? { holder: member.slice(WRITER.length), access: 'write' }
    : { holder: member, access: 'read' };
}
