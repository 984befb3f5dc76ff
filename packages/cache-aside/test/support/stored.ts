import { headerOf, valueHead } from '../../src/envelope.ts';

/** What stands in Redis for a value that is this text as JSON. */
export function storedJson(text: string, loadMs = 0): string {
  return valueHead(headerOf({ ttlMs: 60_000, tailMs: 0, loadMs }), 'json') + text;
}
