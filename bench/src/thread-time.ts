import { readFileSync } from 'node:fs';

/**
 * How long the main thread of this process has run on a processor, in milliseconds: neither what it
 * waited for one, nor what the other threads of the process took. Linux says so; nobody else does.
 */
export function threadMs(): number | undefined {
  try {
    const [ranNs] = readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'latin1').split(' ');
    // A kernel that does not count says nothing but zeros.
    return Number(ranNs) > 0 ? Number(ranNs) / 1e6 : undefined;
  } catch {
    return undefined;
  }
}
