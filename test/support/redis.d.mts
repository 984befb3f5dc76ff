/** A server to start: a binary of this machine, or an image for Docker. */
export type FoundServer =
  | { readonly server: string; readonly docker?: undefined; readonly url?: undefined }
  | {
      readonly docker: true;
      readonly image: string;
      readonly server?: undefined;
      readonly url?: undefined;
    };

/** A server to start, or the URL of a running one. */
export type Found =
  | FoundServer
  | { readonly url: string; readonly server?: undefined; readonly docker?: undefined };

/** For the demo and the benchmarks: REDIS_URL if it is set, else a server to start. */
export function findRedis(env?: NodeJS.ProcessEnv): Promise<Found>;

/** For tests, which kill and flush: never REDIS_URL. */
export function findServer(env?: NodeJS.ProcessEnv): Promise<FoundServer>;

/** Every executable file of this name on the PATH, first come first. */
export function allOnPath(name: string, env?: NodeJS.ProcessEnv): string[];
