/** Where the epochs of a namespace stand. `prefix`: what is put before every key of its own. */
export class GroupKeys {
  /** The last epoch that was begun by anybody. */
  readonly now: string;
  /** The epoch that began when the namespace was cleared. */
  readonly cleared: string;
  readonly #tagPrefix: string;

  constructor(prefix: string) {
    this.now = `${prefix}redcache:epoch`;
    this.cleared = `${prefix}redcache:cleared`;
    this.#tagPrefix = `${prefix}redcache:tag:`;
  }

  /** The epoch that began when the tag was last invalidated. */
  tag(tag: string): string {
    return this.#tagPrefix + tag;
  }
}
