import type { BreakListener, Guard } from '../store/guard.ts';
import type { Fetched } from './fetched.ts';
import { Flight, type SingleFlight } from './single-flight.ts';

/** A read that was begun. Call one of the two when it is over. */
export interface Leading<V> {
  /** What came of it, for whoever leads it. */
  readonly promise: Promise<V>;
  arrived(fetched: Fetched<V>): void;
  /** Reaches everyone who waits for it. */
  failed(error: unknown): void;
}

/** What a load tells of its end, whoever runs it. */
export interface LoadEnd {
  arrived(load: Load, fetched: Fetched<unknown>): void;
  failed(load: Load, error: unknown): void;
}

/** What is fetched, and where it will be filed: under its key if there is a `rest`, else by its signature. */
export interface Place {
  readonly keys: readonly string[];
  readonly signature: string;
  readonly rest: string | undefined;
}

/**
 * A reply that is being fetched: for whom, and under whose guard. One object, since a miss costs
 * little more than what it leaves to the collector.
 *
 * Whoever leads it may be given an object of his own; those who join share what is kept.
 */
export class Load extends Flight<unknown> implements Leading<unknown>, Place, BreakListener {
  readonly keys: readonly string[];
  readonly rest: string | undefined;
  readonly #end: LoadEnd;
  #guard: Guard | undefined;
  /** Made when somebody joins. */
  #joined: Flight<unknown> | undefined;

  constructor(flights: SingleFlight<Load>, place: Place, end: LoadEnd) {
    super(flights, place.signature);
    this.keys = place.keys;
    this.rest = place.rest;
    this.#end = end;
  }

  get signature(): string {
    return this.id;
  }

  /** Open from before the command is sent. */
  get guard(): Guard {
    return this.#guard as Guard;
  }

  guardedBy(guard: Guard): this {
    this.#guard = guard;
    // Nobody would tell us that the reply is outdated, so nobody may join later.
    if (guard.severed) this.detach(); // guard: I1
    return this;
  }

  broken(): void {
    this.detach();
  }

  join(): Promise<unknown> {
    this.#joined ??= new Flight(NOWHERE, this.id);
    return this.#joined.promise;
  }

  /** It was answered. */
  arrived(fetched: Fetched<unknown>): void {
    this.#end.arrived(this, fetched);
  }

  /** It was not, or the answer cannot be used. Everybody in it is told. */
  failed(error: unknown): void {
    this.#end.failed(this, error);
  }

  landWith({ value, own = value }: Fetched<unknown>): void {
    this.land(own);
    this.#joined?.land(value);
  }

  override fail(error: unknown): void {
    super.fail(error);
    this.#joined?.fail(error);
  }
}

/** Of what cannot be joined by itself. */
const NOWHERE = { detach: (): void => {} };
