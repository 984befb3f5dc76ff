export { assertIdle, assertStoreValid } from './assert-store-valid.ts';
export { FakeClient, type SentCommand, settled } from './fake-client.ts';
export { ManualClock } from './manual-clock.ts';
