// `npm run bench:check -- before.json after.json`: whether anything of ours became slower.
import { check } from './check.ts';

process.exitCode = await check(process.argv.slice(2), {
  out: (text) => console.log(text),
  err: (text) => console.error(text),
});
