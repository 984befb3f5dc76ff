/** What is cached, each with the key it belongs to. */
export const PAYLOADS = {
  'string of 100 bytes': (key: string): unknown => key.padEnd(100, 'x'),
  'object of 20 fields': (key: string): unknown => ({ id: key, ...fields(19) }),
  'document of 10 KB': (key: string): unknown => ({
    id: key,
    parts: Array.from({ length: 21 }, (_, number) => ({ number, ...fields(18) })),
  }),
} as const;

export type Payload = keyof typeof PAYLOADS;

/** Words, numbers and yes or no, as records have them. */
function fields(count: number): Record<string, unknown> {
  return Object.fromEntries(
    Array.from({ length: count }, (_, i) => [`field${i}`, fieldOf(i)] as const),
  );
}

function fieldOf(i: number): unknown {
  if (i % 4 === 0) return i * 1000.5;
  return i % 7 === 3 ? i % 2 === 0 : `value ${i} of some length`;
}
