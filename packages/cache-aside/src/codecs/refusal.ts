import { CodecError } from '../errors.ts';

/** The error for a value that a codec cannot hold: `offence` says what is in the way, and where. */
export function refusal(codec: string, key: string, offence: string, cause?: unknown): CodecError {
  const message = `the value of '${key}' cannot be stored as ${codec}: ${offence}`;
  return new CodecError(message, { key, ...(cause !== undefined && { cause }) });
}

/** Of a path such as `$.users[0]["e-mail"]`, the step to a property. */
export function step(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`;
}

/** The method with which a value says itself what to store for it. */
export function toJsonOf(value: unknown): ((name: string) => unknown) | undefined {
  const toJson = (value as { toJSON?: unknown } | null | undefined)?.toJSON;
  return typeof toJson === 'function' ? (toJson as (name: string) => unknown) : undefined;
}

/** Their contents are no properties, so that `{}` or numbered properties would be made of them. */
export const HOLDS_NO_PROPERTIES: RegExp =
  /^(Map|Set|WeakMap|WeakSet|WeakRef|Promise|RegExp|Error|BigInt|Symbol|(Shared)?ArrayBuffer|DataView|\w+Array)$/;

/** What a value is for `Object.prototype.toString`, such as `Map` or `Date`. */
export function kindOf(value: object): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}
