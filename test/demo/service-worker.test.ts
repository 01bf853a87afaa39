/** The service worker, on caches and events of the test's own. */
import { afterEach, expect, test, vi } from 'vitest';

type Handler = (event: unknown) => void;

afterEach(() => {
  vi.unstubAllGlobals();
  vi.resetModules();
});

test('an asset comes from the cache of this version, never from others of the origin', async () => {
  const address = 'https://example.test/site/assets/model.onnx';
  const stored = new Map<string, Map<string, Response>>([
    ['octet-1', new Map()],
    ['another app of the origin', new Map([[address, new Response('theirs')]])],
  ]);
  const open = (name: string) => {
    const entries = stored.get(name) ?? new Map<string, Response>();
    stored.set(name, entries);
    return Promise.resolve({
      match: ({ url }: Request) => Promise.resolve(entries.get(url)?.clone()),
      put: ({ url }: Request, response: Response) => {
        entries.set(url, response);
        return Promise.resolve();
      },
    });
  };
  const anywhere = ({ url }: Request) =>
    Promise.resolve(
      [...stored.values()]
        .find((entries) => entries.has(url))
        ?.get(url)
        ?.clone(),
    );
  const handlers = new Map<string, Handler>();
  vi.stubGlobal('caches', { open, match: anywhere });
  vi.stubGlobal('self', {
    addEventListener: (type: string, handler: Handler) => handlers.set(type, handler),
    registration: { scope: 'https://example.test/site/' },
  });
  vi.stubGlobal('__PRECACHE_FILES__', []);
  vi.stubGlobal('__PRECACHE_VERSION__', '1');
  const fetched = vi.fn(() => Promise.resolve(new Response('ours')));
  vi.stubGlobal('fetch', fetched);
  await import('../../demo/service-worker.ts');

  const ask = async () => {
    let answer: Promise<Response> | undefined;
    const respondWith = (response: Promise<Response>) => (answer = response);
    handlers.get('fetch')!({ request: new Request(address), respondWith });
    return (await answer!).text();
  };
  expect(await ask()).toBe('ours');
  await vi.waitFor(() => expect(stored.get('octet-1')!.size).toBe(1));
  expect(await ask()).toBe('ours');
  expect(fetched).toHaveBeenCalledTimes(1);
  expect(await stored.get('another app of the origin')!.get(address)!.text()).toBe('theirs');
});
