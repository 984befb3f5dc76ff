import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openLogFolder } from './log-folder.ts';
import { ManagedProcess, sayExit } from './managed-process.ts';

/** One server to start. */
export interface ServerSpec {
  readonly port: number;
  readonly args: readonly string[];
  /** The text of its configuration file, if it needs one. */
  readonly conf?: string | undefined;
}

/** A server process that was started, and may have ended since. */
export interface ServerProcess {
  /** On this machine, or inside the container. */
  readonly pid: number;
  /** How it ended, once it has: only known of processes of this machine. */
  readonly ending: string | undefined;
  kill(): Promise<void>;
  pause(): Promise<void>;
  resume(): Promise<void>;
}

/** Where the servers of one deployment run; all are reached as 127.0.0.1:port, also by each other. */
export interface Host {
  readonly by: 'binary' | 'container';
  /** Starts a server, for the first time or again: what it has stored in its folder it finds there. */
  start(spec: ServerSpec): Promise<ServerProcess>;
  /** What the server has said, or `undefined` where that can't be had. */
  logOf(port: number): string | undefined;
  /** Ends every server, however it is, and gives back the folder. */
  stop(): Promise<void>;
}

const commandLine = (
  binary: string,
  folder: string,
  bind: string,
  { port, args, conf }: ServerSpec,
): string[] => [
  binary,
  ...(conf === undefined ? [] : [`${folder}/${port}.conf`]),
  ...['--port', `${port}`, '--bind', bind, '--protected-mode', 'no', '--dir', folder],
  ...args,
];

/** Processes of this machine, from a server binary. They end with this process however it ends. */
export function localHost(kind: string, binary: string): Host {
  const folder = openLogFolder(kind);
  const logFile = (port: number): string => join(folder.path, `${port}.log`);
  const running = new Set<ManagedProcess>();
  return {
    by: 'binary',
    start: async (spec) => {
      const again = spec.conf === undefined || wasWritten(join(folder.path, `${spec.port}.conf`));
      if (!again) writeFileSync(join(folder.path, `${spec.port}.conf`), spec.conf ?? '');
      const [file = binary, ...args] = commandLine(binary, folder.path, '127.0.0.1', spec);
      const output = openSync(logFile(spec.port), 'a');
      const server = ManagedProcess.start(file, args, { output });
      closeSync(output);
      server.unref();
      running.add(server);
      void server.exited.then(() => running.delete(server));
      return {
        pid: server.pid,
        get ending() {
          return server.exit && sayExit(server.exit);
        },
        kill: async () => void (await server.kill()),
        pause: () => server.pause(),
        resume: async () => server.resume(),
      };
    },
    logOf: (port) => {
      try {
        return readFileSync(logFile(port), 'utf8');
      } catch {
        return undefined;
      }
    },
    stop: async () => {
      await Promise.all([...running].map((server) => server.kill()));
      folder.close();
    },
  };
}

/** A server rewrites its configuration file; started again it wants its own, not the first one. */
function wasWritten(file: string): boolean {
  try {
    return readFileSync(file).length > 0;
  } catch {
    return false;
  }
}

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
const CONTAINER_FOLDER = '/tmp';

/**
 * One container that holds all servers of a deployment, each port mapped to the same port of this
 * machine; commands in the container start and signal them. The engine's reaper removes it when this
 * process is gone.
 */
export async function containerHost(
  kind: string,
  image: string,
  ports: readonly number[],
): Promise<Host> {
  const { GenericContainer } = await import('testcontainers');
  const container = await new GenericContainer(image)
    .withExposedPorts(...ports.map((port) => ({ container: port, host: port })))
    .withEntrypoint(['sh', '-c'])
    // The first process of a container inherits the servers and reaps them while it waits.
    .withCommand(['trap "exit 0" TERM; while :; do sleep 1; done'])
    .start();
  const folder = openLogFolder(kind);

  const run = async (script: string): Promise<string> => {
    const { exitCode, output, stderr } = await container.exec(['sh', '-c', script]);
    if (exitCode !== 0) throw new Error(`in the container of ${kind}: ${stderr || output}`);
    return output.trim();
  };
  const started = new Set<number>();
  return {
    by: 'container',
    start: async (spec) => {
      const { port, conf } = spec;
      const file = `${CONTAINER_FOLDER}/${port}.conf`;
      if (conf !== undefined && !started.has(port))
        await run(`printf %s ${quote(conf)} > ${quote(file)}`);
      started.add(port);
      const command = commandLine('redis-server', CONTAINER_FOLDER, '0.0.0.0', spec);
      const log = `${CONTAINER_FOLDER}/${port}.log`;
      const pid = Number(
        await run(`${command.map(quote).join(' ')} </dev/null >>${log} 2>&1 & echo $!`),
      );
      return {
        pid,
        ending: undefined,
        kill: async () => {
          await run(
            `kill -9 ${pid} 2>/dev/null; while kill -0 ${pid} 2>/dev/null; do sleep 0.05; done`,
          );
        },
        pause: async () => void (await run(`kill -STOP ${pid}`)),
        resume: async () => void (await run(`kill -CONT ${pid}`)),
      };
    },
    logOf: () => undefined,
    stop: async () => {
      for (const port of started) {
        const log = await run(`cat ${CONTAINER_FOLDER}/${port}.log`).catch(String);
        writeFileSync(join(folder.path, `${port}.log`), `${log}\n`);
      }
      await container.stop();
      folder.close();
    },
  };
}
