/**
 * What redcache's own packages are built with, beside the engine: scripts, time budgets, option
 * readers. Public so that the packages built on this one need no private door; it may change in any
 * minor release.
 */
export { assertNever } from './assert-never.ts';
export { Budget, TIMED_OUT } from './budget.ts';
export { callSafely, publisher } from './channels.ts';
export { type Beside, besideOf, shortTag } from './cluster/beside.ts';
export { slotOf } from './cluster/slot.ts';
export { durationMs } from './duration.ts';
export { Flight, SingleFlight } from './flight/single-flight.ts';
export {
  abortSignal,
  callback,
  checkKey,
  count,
  countTo,
  duration,
  flag,
  type Given,
  having,
  type OptionReader,
  oneOf,
  optional,
  optionals,
  ratio,
  readGiven,
  readOptions,
  text,
} from './options.ts';
export { setPatientTimer } from './patient-timer.ts';
export { Queue, type Queued } from './queue.ts';
export { defineScript, isServerError, runScript, type Script } from './script.ts';
export { ShortLivedMap } from './short-lived-map.ts';
export { type TimeStats, Times } from './times.ts';
