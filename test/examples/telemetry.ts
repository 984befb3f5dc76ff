import { metrics } from '@opentelemetry/api';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { createCache } from '@redcache/cache-aside';
import { observe } from '@redcache/cache-aside/otel';
import { clientSideCache } from '@redcache/core/node-redis';
import { createClient } from 'redis';

// As your service has it already; exporters of your own in place of this one.
const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
const meterProvider = new MeterProvider({
  readers: [new PeriodicExportingMetricReader({ exporter })],
});
metrics.setGlobalMeterProvider(meterProvider);

const url = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379';
const client = createClient({ url, clientSideCache: clientSideCache() });
client.on('error', console.error);
await client.connect();
const cache = createCache({ client, namespace: 'telemetry' });
const stop = observe(cache, { name: 'users' });

await cache.get('user:42', async () => ({ name: 'Ada' })); // a span 'load users'
await cache.get('user:42');
await cache.delete('user:42');
await cache.close();
await client.close();

await meterProvider.forceFlush();
const [requests] = exporter
  .getMetrics()
  .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics))
  .filter(({ descriptor }) => descriptor.name === 'redcache.cache.requests');
for (const { attributes, value } of requests?.dataPoints ?? [])
  if (Number(value) > 0) console.log(attributes['redcache.cache.result'], value);
// -> local_hit 1
// -> miss 1
stop();
await meterProvider.shutdown();
