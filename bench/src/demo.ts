// `npm start`: the demo.
import { demo } from './demo/main.ts';

process.exitCode = await demo(process.argv.slice(2));
