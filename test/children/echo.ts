// A child that does as it is told: for the tests of the ground itself.
import { barrier, emit, serve } from '../support/child.ts';

export const handlers = {
  echo: <T>(value: T): T => value,
  add: (a: number, b: number): number => a + b,
  fail: (message: string, code: string): never => {
    throw Object.assign(new Error(message), { code });
  },
  announce: (name: string, value: unknown): void => emit(name, value),
  crash: (words: string): never => {
    process.stderr.write(words);
    process.exit(3);
  },
  /** The wall clock, which all processes share, right before and right after the barrier. */
  meet: async (): Promise<{ beforeMs: number; afterMs: number }> => {
    const beforeMs = Date.now();
    await barrier();
    return { beforeMs, afterMs: Date.now() };
  },
};

serve(handlers);
