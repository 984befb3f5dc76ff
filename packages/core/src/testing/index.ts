export { assertIdle, assertStoreValid } from './assert-store-valid.ts';
export type { PortUnderTest } from './conformance/port-trial.ts';
export { FakeClient, type SentCommand, settled } from './fake-client.ts';
export { ManualClock } from './manual-clock.ts';
export {
  type ConformanceCase,
  type ConformanceOptions,
  portConformance,
} from './port-conformance.ts';
