/** The package has types that its `exports` do not lead to; this is the part that is used here. */
declare module 'redlock' {
  export default class Redlock {
    constructor(
      clients: Iterable<import('ioredis').Redis>,
      settings: {
        readonly retryCount: number;
        readonly retryDelay?: number;
        readonly retryJitter?: number;
      },
    );
    acquire(resources: string[], durationMs: number): Promise<{ release(): Promise<unknown> }>;
  }
}
