import { context, type TracerProvider } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { onTestFinished } from 'vitest';

/** Collects when it is told to, and has no timer. */
class TestReader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}

export interface Point {
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly value: unknown;
}

export interface Telemetry {
  readonly providers: {
    readonly meterProvider: MeterProvider;
    readonly tracerProvider: TracerProvider;
  };
  /** The data points of all metrics, by name, as they are now. */
  points(): Promise<Map<string, readonly Point[]>>;
  /** Units by name. */
  units(): Promise<Map<string, string>>;
  /** Those that have ended. */
  spans(): ReadableSpan[];
}

/** The SDK of OpenTelemetry, in memory, until the test ends. */
export function startTelemetry(): Telemetry {
  const reader = new TestReader();
  const meterProvider = new MeterProvider({ readers: [reader] });
  const exporter = new InMemorySpanExporter();
  const tracerProvider = new BasicTracerProvider({
    spanProcessors: [new SimpleSpanProcessor(exporter)],
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  onTestFinished(async () => {
    context.disable();
    await meterProvider.shutdown();
    await tracerProvider.shutdown();
  });
  const metrics = async () => {
    const { resourceMetrics, errors } = await reader.collect();
    if (errors.length > 0) throw new AggregateError(errors);
    return resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics);
  };
  return {
    providers: { meterProvider, tracerProvider },
    points: async () =>
      new Map((await metrics()).map((each) => [each.descriptor.name, each.dataPoints])),
    units: async () =>
      new Map((await metrics()).map(({ descriptor }) => [descriptor.name, descriptor.unit])),
    spans: () => exporter.getFinishedSpans(),
  };
}
