import { BasicPooledClientSideCache } from 'redis';

type Key = Parameters<BasicPooledClientSideCache['invalidate']>[0];

/** node-redis's own cache that writes down, in order, what the client tells it. */
export class RecordingProvider extends BasicPooledClientSideCache {
  /** Such as `trackingOn`, `invalidate key`, `invalidate null`, `onError`, `clear`, `disable`. */
  readonly heard: string[] = [];
  readonly #tracking: readonly string[];

  /** What to put behind `CLIENT TRACKING ON`. */
  constructor(...tracking: readonly string[]) {
    super();
    this.#tracking = tracking;
  }

  /** What was heard since the last look. */
  take(): string[] {
    return this.heard.splice(0);
  }

  /** How often it was told that since the last {@link take}. */
  count(what: string): number {
    return this.heard.filter((each) => each === what).length;
  }

  override trackingOn(): string[] {
    this.heard.push('trackingOn');
    return ['CLIENT', 'TRACKING', 'ON', ...this.#tracking];
  }

  override invalidate(key: Key): void {
    this.heard.push(`invalidate ${key}`);
    super.invalidate(key);
  }

  override clear(resetStats?: boolean): void {
    this.heard.push('clear');
    super.clear(resetStats);
  }

  override disable(): void {
    this.heard.push('disable');
    super.disable();
  }

  override enable(): void {
    this.heard.push('enable');
    super.enable();
  }

  override onError(): void {
    this.heard.push('onError');
    super.onError();
  }

  override onClose(): void {
    this.heard.push('onClose');
    super.onClose();
  }

  override onPoolClose(): void {
    this.heard.push('onPoolClose');
    super.onPoolClose();
  }
}
