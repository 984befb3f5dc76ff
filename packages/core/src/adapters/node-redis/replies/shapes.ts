/** The fields of objects that look alike, in their order. */
export interface Shape {
  readonly fields: readonly string[];
}

/**
 * How many shapes may be in use at a time. V8 lets about 1500 different fields come first in an
 * object of this process; when they are used up, each new object anywhere costs ten times as much.
 * Hashes whose fields are ids would use them up.
 */
const maxShapes = 256;

const alive = new Map<string, WeakRef<Shape>>();

const collected = new FinalizationRegistry<string>((name) => {
  // Another shape of this name may have been made since.
  if (alive.get(name)?.deref() === undefined) alive.delete(name);
});

/** The one asked for last: the objects of one reply are mostly alike. */
let latest: Shape = { fields: [] };

/**
 * The shape with these fields, the same one for as long as somebody holds it; undefined for a new
 * one when there are too many.
 */
export function shapeOf(fields: readonly string[]): Shape | undefined {
  if (isSame(fields, latest.fields)) return latest;
  const name = JSON.stringify(fields);
  const known = alive.get(name);
  const found = known?.deref();
  if (found !== undefined) {
    latest = found;
    return found;
  }
  if (known === undefined && alive.size >= maxShapes) return undefined;
  const shape: Shape = { fields: [...fields] };
  alive.set(name, new WeakRef(shape));
  collected.register(shape, name);
  latest = shape;
  return shape;
}

function isSame(fields: readonly string[], others: readonly string[]): boolean {
  if (fields.length !== others.length) return false;
  for (let position = 0; position < fields.length; position++)
    if (fields[position] !== others[position]) return false;
  return true;
}
