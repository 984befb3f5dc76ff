export { LockLostError, type LossReason } from '../errors.ts';
export type { Extension, LeaseCommands, Verdict } from './commands.ts';
export { HELD } from './held.ts';
export { Lease, type LeaseOptions } from './lease.ts';
export { type Heard, type Listen, listenTo } from './listen.ts';
