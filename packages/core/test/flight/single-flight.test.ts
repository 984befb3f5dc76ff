import { expect, test } from 'vitest';
import { Flight, SingleFlight } from '../../src/flight/single-flight.ts';

class NumberFlights extends SingleFlight<Flight<number>> {
  lead(id: string): Flight<number> {
    return this.begin(new Flight<number>(this, id));
  }
}

test('whoever asks meanwhile joins; after landing nobody does', async () => {
  const flights = new NumberFlights();
  const flight = flights.lead('id');
  expect(flights.joinable('id')).toBe(flight);
  expect(flights.joinable('other')).toBeUndefined();
  flight.land(1);
  expect(flights.joinable('id')).toBeUndefined();
  expect(flight.landed).toBe(true);
  expect(await flight.promise).toBe(1);
});

test('a failed flight fails for all who are in it and is over', async () => {
  const flights = new NumberFlights();
  const flight = flights.lead('id');
  const error = new Error('no');
  const joined = flights.joinable('id')?.promise;
  flight.fail(error);
  await expect(joined).rejects.toBe(error);
  expect(flights.size).toBe(0);
});

test('a flight that fails with nobody in it is no unhandled rejection', async () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown): void => void unhandled.push(reason);
  process.on('unhandledRejection', note);
  new NumberFlights().lead('id').fail(new Error('nobody waits'));
  await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', note);
  expect(unhandled).toEqual([]);
});

test('a detached flight goes on for those in it, and ends without touching the next one', async () => {
  const flights = new NumberFlights();
  const first = flights.lead('id');
  first.detach();
  expect(flights.joinable('id')).toBeUndefined();
  const second = flights.lead('id');
  first.detach();
  first.land(1);
  expect(flights.joinable('id')).toBe(second);
  expect(await first.promise).toBe(1);
});

test('a flight is joinable again after a reattach, unless it is over or another has begun', () => {
  const flights = new NumberFlights();
  const first = flights.lead('id');
  first.detach();
  flights.reattach(first);
  expect(flights.joinable('id')).toBe(first);
  first.detach();
  const second = flights.lead('id');
  flights.reattach(first);
  expect(flights.joinable('id')).toBe(second);
  second.land(2);
  first.land(1);
  flights.reattach(first);
  expect(flights.size).toBe(0);
});
