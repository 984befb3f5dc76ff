/**
 * Milliseconds on the clock that all processes of this machine share: `process.hrtime` counts from
 * one origin for the whole system and never jumps, so a time taken in a reader can be compared with
 * one taken in the writer. (`performance.now()` counts from the start of its own process, and the
 * wall clock may be set back.)
 */
export function nowMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}
