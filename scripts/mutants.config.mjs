// Vitest for `scripts/mutants.mjs`: the unit tests of core, locks and cache-aside and the model, with one line of
// the sources left out while Vite loads their file. No file is changed or copied, so nothing has to be put back.
import { fileURLToPath } from 'node:url';
import { withoutLine } from './marked-lines.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
// biome-ignore lint/suspicious/noUndeclaredEnvVars: Turborepo never runs this
const mutant = JSON.parse(process.env.REDCACHE_MUTANT ?? 'null');

const leaveOut = {
  name: 'redcache-mutant',
  enforce: 'pre',
  transform(code, id) {
    if (id.split('?')[0] !== mutant?.path) return undefined;
    if (code.split('\n')[mutant.line - 1] !== mutant.text) {
      console.error(`${mutant.path} was changed meanwhile`);
      process.exit(2);
    }
    return { code: withoutLine(code, mutant.line), map: null };
  },
};

/** Tells who found it, each on a line of its own. */
const witness = {
  onTestCaseResult(test) {
    if (test.result().state === 'failed')
      tell(`${test.module.relativeModuleId} > ${test.fullName}`);
  },
  onTestRunEnd(modules, unhandled) {
    for (const module of modules)
      for (const { message } of module.errors()) tell(`${module.relativeModuleId}: ${message}`);
    for (const { message } of unhandled) tell(`unhandled: ${message}`);
  },
};

function tell(who) {
  console.log(`found by ${who.replaceAll('\n', ' ')}`);
}

/** Packages of this workspace are taken from their source, as in all tests. */
const conditions = ['redcache-source', 'module', 'node', 'development|production'];

export default {
  plugins: [leaveOut],
  ssr: { resolve: { conditions } },
  test: {
    reporters: [witness],
    // One process, which can be ended whatever its tests are caught in.
    pool: 'threads',
    projects: [
      { extends: true, test: { name: 'core', root: here('../packages/core') } },
      { extends: true, test: { name: 'locks', root: here('../packages/locks') } },
      { extends: true, test: { name: 'cache-aside', root: here('../packages/cache-aside') } },
      {
        extends: true,
        test: { name: 'model', root: here('../test'), include: ['model/core/engine.test.ts'] },
      },
    ],
  },
};
