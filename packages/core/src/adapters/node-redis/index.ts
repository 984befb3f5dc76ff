export { type AnyClient, assertSingle, type SingleClient, selectsDatabase } from './clients.ts';
export { portOf } from './port.ts';
export {
  ClientSideCache,
  type ClientSideCacheOptions,
  clientSideCache,
  type TrackedClient,
  trackingOf,
} from './provider.ts';
export {
  type Connected,
  type OwnTracked,
  openTracked,
  type Tracked,
  trackedOf,
} from './tracked.ts';
export { type TrackedWay, trackedWay } from './way.ts';
