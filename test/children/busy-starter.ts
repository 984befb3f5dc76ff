// Starts a server and goes on for ever, as a test that hangs does in its worker.
import { startStandalone } from '../support/deployments.ts';

setInterval(() => {}, 1000);
const { node } = await startStandalone();
process.send?.(node.pid);
