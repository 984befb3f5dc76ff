import {
  type Attributes,
  context,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { callSafely } from '@redcache/core/toolkit';
import type { Cache } from '../cache.ts';
import type { LoadFacts, LoadOutcome } from '../instruments.ts';
import { ATTRIBUTES, errorType, identity } from './names.ts';

export interface SpanOptions {
  readonly name: string;
  readonly namesKeys: boolean;
}

const MOST_KEYS = 10;

/** A span for each call of a loader, which runs inside it. Answers what ends that. */
export function traceLoads(cache: Cache, tracer: Tracer, options: SpanOptions): () => void {
  return cache.instrument({
    load: (load, run) => {
      const caller = context.active();
      const span = tracer.startSpan(
        `load ${options.name}`,
        { kind: SpanKind.INTERNAL, attributes: attributesOf(load, options) },
        caller,
      );
      const running = context.with(trace.setSpan(caller, span), run);
      void running.then((outcome) => callSafely('instrument', () => end(span, outcome)));
    },
  });
}

function attributesOf(
  { keys, cause, family }: LoadFacts,
  { name, namesKeys }: SpanOptions,
): Attributes {
  return {
    ...identity(name, family),
    [ATTRIBUTES.loadCause]: cause,
    [ATTRIBUTES.loadKeyCount]: keys.length,
    ...(namesKeys && { [ATTRIBUTES.loadKeys]: keys.slice(0, MOST_KEYS) }),
  };
}

function end(span: Span, { failure }: LoadOutcome): void {
  if (failure !== undefined) {
    const { error } = failure;
    span.setAttribute(ATTRIBUTES.errorType, errorType(error));
    if (error instanceof Error) span.recordException(error);
    const message = error instanceof Error ? error.message : String(error);
    span.setStatus({ code: SpanStatusCode.ERROR, message });
  }
  span.end();
}
