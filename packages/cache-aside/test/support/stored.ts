import { headerOf, valueHead } from '../../src/envelope.ts';

/** What stands in Redis for a value that is this text as JSON, and of no group that was invalidated. */
export function storedJson(text: string, loadMs = 0): string {
  const facts = { ttlMs: 60_000, tailMs: 0, loadMs, epoch: Number.MAX_SAFE_INTEGER };
  return valueHead(headerOf(facts), 'json') + text;
}
