import type { Filter } from './proxy.ts';

/**
 * A filter that lets replies pass and drops the pushes for which `drops` says so (all, if not said),
 * as a proxy does that knows replies only. It is given the push as text.
 */
export function pushFilter(drops: (push: string) => boolean = () => true): Filter {
  let rest: Buffer = Buffer.alloc(0);
  return (bytes) => {
    rest = Buffer.concat([rest, bytes]);
    const passed: Buffer[] = [];
    for (let end = endOf(rest, 0); end !== undefined; end = endOf(rest, 0)) {
      const frame = rest.subarray(0, end);
      rest = rest.subarray(end);
      if (frame[0] !== PUSH || !drops(frame.toString())) passed.push(frame);
    }
    return Buffer.concat(passed);
  };
}

const PUSH = 0x3e;

/** Where the frame that begins at `at` ends; `undefined` if it is not complete. */
function endOf(bytes: Buffer, at: number): number | undefined {
  const lineEnd = bytes.indexOf('\r\n', at);
  if (lineEnd < 0) return undefined;
  const next = lineEnd + 2;
  const count = Number(bytes.toString('latin1', at + 1, lineEnd));
  switch (String.fromCharCode(bytes[at] ?? 0)) {
    case '$':
    case '!':
    case '=':
      return count < 0 ? next : within(bytes, next + count + 2);
    case '*':
    case '~':
    case '>':
      return endOfAll(bytes, next, count);
    case '%':
      return endOfAll(bytes, next, count * 2);
    default:
      return next;
  }
}

function endOfAll(bytes: Buffer, at: number, count: number): number | undefined {
  let end: number | undefined = at;
  for (let i = 0; i < count && end !== undefined; i += 1) end = endOf(bytes, end);
  return end;
}

const within = (bytes: Buffer, end: number): number | undefined =>
  end <= bytes.length ? end : undefined;
