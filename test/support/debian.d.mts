export interface Unpacking {
  /** A Debian release such as `trixie`; the one of this machine if left out. */
  readonly release?: string | undefined;
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** Where to unpack; `.redis` of this project if left out. */
  readonly folder?: string | undefined;
  /** Told in one line when something is unpacked, which takes seconds. */
  readonly onUnpack?: ((line: string) => void) | undefined;
}

/** True when the tools of Debian are there. */
export function canUnpack(env?: NodeJS.ProcessEnv): boolean;

/** The start script of the server of Debian's package `name`, unpacked if it is not yet. */
export function fromDebian(name: string, how?: Unpacking): string;
