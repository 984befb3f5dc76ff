export { type Observation, type ObserveOptions, observe } from './observe.ts';
