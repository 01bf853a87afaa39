import envPaths from 'env-paths';

/** Where Octet keeps what it has fetched and tuned: `$OCTET_CACHE`, or the platform's cache directory for `octet`. */
export function cacheDirectory(): string {
  return process.env.OCTET_CACHE ?? envPaths('octet', { suffix: '' }).cache;
}
