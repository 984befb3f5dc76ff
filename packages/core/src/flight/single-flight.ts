import { ShortLivedMap } from './short-lived-map.ts';

/**
 * One run per id at a time in this process; whoever asks meanwhile gets the same promise.
 *
 * A flight that was detached goes on for those who are in it, and the next caller starts anew
 * (I1): what it will answer may already be outdated.
 */
export class SingleFlight<F extends Flight<unknown>> {
  readonly #make: (detach: (flight: Flight<unknown>) => void) => F;
  readonly #flights = new ShortLivedMap<string, F>();

  /** `make`: a new flight, which calls `detach` with itself. */
  constructor(make: (detach: (flight: Flight<unknown>) => void) => F) {
    this.#make = make;
  }

  get size(): number {
    return this.#flights.size;
  }

  joinable(id: string): F | undefined {
    return this.#flights.get(id);
  }

  /** Starts a flight that others may join until it lands or is detached. */
  lead(id: string): F {
    const flight = this.#make((it) => {
      if (this.#flights.get(id) === it) this.#flights.delete(id); // guard: I1
    });
    this.#flights.set(id, flight);
    return flight;
  }

  /** Lets callers join again, unless another flight has begun since. */
  reattach(id: string, flight: F): void {
    if (!flight.landed && !this.#flights.has(id)) this.#flights.set(id, flight);
  }
}

/** One run that several callers wait for. Nobody waiting is not an unhandled rejection. */
export class Flight<T> {
  readonly promise: Promise<T>;
  readonly #detach: (flight: Flight<unknown>) => void;
  #resolve!: (value: T) => void;
  #reject!: (error: unknown) => void;
  #landed = false;

  constructor(detach: (flight: Flight<unknown>) => void) {
    this.#detach = detach;
    this.promise = new Promise<T>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  get landed(): boolean {
    return this.#landed;
  }

  detach(): void {
    this.#detach(this as Flight<unknown>);
  }

  land(value: T): void {
    this.#landed = true;
    this.detach(); // guard: I1, I12
    this.#resolve(value);
  }

  fail(error: unknown): void {
    this.#landed = true;
    this.detach(); // guard: I1, I12
    this.promise.catch(() => {});
    this.#reject(error);
  }
}
