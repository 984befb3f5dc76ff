import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { counts } from './test/support/counts.ts';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const packages = ['core', 'locks', 'cache-aside'] as const;

/**
 * Packages of this workspace are taken from their source: no test waits for a build. Without `module`,
 * which is for bundlers: what `@opentelemetry/api` has there is nothing that Node can import.
 */
const conditions = ['redcache-source', 'node', 'development|production'];

export default defineConfig({
  ssr: { resolve: { conditions } },
  test: {
    reporters: ['default', counts],
    // More than a small machine has cores: most tests wait for servers.
    maxWorkers: Math.max(4, availableParallelism()),
    // A test that hangs, not one on a machine that is busy.
    testTimeout: 30_000,
    hookTimeout: 60_000,
    coverage: {
      provider: 'v8',
      include: ['packages/*/src/**'],
      reporter: ['text-summary', 'json-summary', 'lcovonly'],
      thresholds: { lines: 80, branches: 70 },
    },
    projects: [
      ...packages.map((name) => ({
        extends: true as const,
        test: { name, root: here(`packages/${name}`), include: ['test/**/*.test.ts'] },
      })),
      {
        extends: true as const,
        test: { name: 'bench', root: here('bench'), include: ['test/**/*.test.ts'] },
      },
      {
        extends: true as const,
        test: {
          name: 'architecture',
          root: here('test'),
          include: ['architecture/**/*.test.ts'],
        },
      },
      {
        extends: true as const,
        test: {
          name: 'integration',
          root: here('test'),
          include: ['{integration,chaos,model,regressions}/**/*.test.ts'],
          globalSetup: here('test/support/global-setup.ts'),
        },
      },
    ],
  },
});
