/** This package's folder, from its source and from its build (`dist/support/`) alike. */
export const packageRoot: URL = new URL(
  import.meta.url.includes('/dist/support/') ? '../../' : '../',
  import.meta.url,
);
