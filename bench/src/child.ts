// A process of a benchmark: one role, named by the first argument; the rest belong to it.
import { ROLES, type RoleName } from './roles.ts';

const [role, ...args] = process.argv.slice(2);
const open = await ROLES[role as RoleName]();
const work = await open(...args);

process.on('message', ({ task }: { readonly task: unknown }) => {
  // What throws ends this process, which the parent takes for an answer.
  void work(task).then((answer) => process.send?.({ answer }));
});
// The parent is gone, or needs nothing more.
process.on('disconnect', () => process.exit());
process.send?.('ready');
