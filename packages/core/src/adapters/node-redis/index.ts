export { portOf, type SingleClient } from './port.ts';
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
