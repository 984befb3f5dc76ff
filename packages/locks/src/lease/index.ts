export { LockLostError, type LossReason } from '../errors.ts';
export type { LeaseCommands, Verdict } from './commands.ts';
export { Lease, type LeaseOptions } from './lease.ts';
