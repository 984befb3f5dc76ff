import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { expect, inject, test, vi } from 'vitest';

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');
const readme = read('../../../packages/core/README.md');

const examples = {
  stats: () => import('./examples/stats.ts'),
  embedding: () => import('./examples/embedding.ts'),
};

test.for(Object.keys(examples) as (keyof typeof examples)[])(
  "the example '%s' of core's README is the file, and says what it prints",
  async (name) => {
    const code = read(`./examples/${name}.ts`);
    expect(readme).toContain(`<!-- example: ${name} -->\n\`\`\`ts\n${code}\`\`\`\n`);
    vi.stubEnv('REDIS_URL', inject('redis').standalone);
    const log = vi.spyOn(console, 'log').mockImplementation(() => {});
    await examples[name]();
    const said = log.mock.calls.map((line) =>
      line.map((each) => (typeof each === 'string' ? each : inspect(each))).join(' '),
    );
    log.mockRestore();
    expect(said).toEqual([...code.matchAll(/\/\/ -> (.*)/g)].map(([, text]) => text));
  },
);
