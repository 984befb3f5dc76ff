export { createTestCache, TestCache, type TestCacheOptions } from './test-cache.ts';
export { TestRedis, type TestRedisState } from './test-redis.ts';
