/** Weights in files of their own are found beside the model, and nowhere else. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { execFileSync } from 'node:child_process';
import { TensorProto_DataType as DataType } from 'onnx-buf';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { InputError } from '../../src/errors.ts';
import { readGraph } from '../../src/model/source.ts';
import { neighbourUrl } from '../../src/platform/neighbours.ts';
import { modelBytes, node, value } from '../support/onnx-proto.ts';

/** A model with one weight of four bytes at `location`. */
function modelWith(location: string): Uint8Array {
  return modelBytes({
    input: [value('x', ['N', 1])],
    output: [value('y', [])],
    node: [node('Add', ['x', 'w'], ['y'])],
    initializer: [
      {
        name: 'w',
        dataType: DataType.FLOAT,
        dims: [1n],
        dataLocation: 1,
        externalData: [{ key: 'location', value: location }],
      },
    ],
  });
}

const weight = new Uint8Array(Float32Array.of(7).buffer);
let root: string;
let model: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'octet-external-'));
  mkdirSync(join(root, 'model', 'sub'), { recursive: true });
  model = join(root, 'model', 'm.onnx');
  writeFileSync(join(root, 'secret.bin'), weight);
});

afterEach(() => rmSync(root, { recursive: true }));

async function weightOf(source: string | URL): Promise<unknown> {
  return [...(await readGraph(source)).constants.get('w')!.data];
}

describe('beside a file', () => {
  test.each(['w.bin', 'sub/w.bin', './w.bin', 'w%20#?.bin'])('"%s" is found', async (location) => {
    writeFileSync(model, modelWith(location));
    writeFileSync(join(root, 'model', location), weight);
    expect(await weightOf(model)).toEqual([7]);
    expect(await weightOf(pathToFileURL(model))).toEqual([7]);
    expect(await weightOf(pathToFileURL(model).href)).toEqual([7]);
  });

  test('a link within the folder is followed, one out of it is not', async () => {
    writeFileSync(model, modelWith('w.bin'));
    writeFileSync(join(root, 'model', 'sub', 'real.bin'), weight);
    symlinkSync(join('sub', 'real.bin'), join(root, 'model', 'w.bin'));
    expect(await weightOf(model)).toEqual([7]);
    rmSync(join(root, 'model', 'w.bin'));
    symlinkSync(join(root, 'secret.bin'), join(root, 'model', 'w.bin'));
    await expect(weightOf(model)).rejects.toThrow(/leads out of the model's folder/);
    rmSync(join(root, 'model', 'w.bin'));
    symlinkSync(root, join(root, 'model', 'up'));
    writeFileSync(model, modelWith('up/secret.bin'));
    await expect(weightOf(model)).rejects.toThrow(/leads out of the model's folder/);
  });

  test('of a cache that keeps model and weights as links into one folder', async () => {
    mkdirSync(join(root, 'blobs'));
    writeFileSync(join(root, 'blobs', 'a'), modelWith('w.bin'));
    writeFileSync(join(root, 'blobs', 'b'), weight);
    symlinkSync(join('..', 'blobs', 'a'), model);
    symlinkSync(join('..', 'blobs', 'b'), join(root, 'model', 'w.bin'));
    expect(await weightOf(model)).toEqual([7]);
  });

  test('what is no regular file is not read', async () => {
    writeFileSync(model, modelWith('w.bin'));
    execFileSync('mkfifo', [join(root, 'model', 'w.bin')]);
    await expect(weightOf(model)).rejects.toThrow(/no regular file/);
    writeFileSync(model, modelWith('sub'));
    await expect(weightOf(model)).rejects.toThrow(/no regular file/);
    writeFileSync(model, modelWith('absent.bin'));
    await expect(weightOf(model)).rejects.toThrow(/absent\.bin: no such file/);
  });
});

describe('beside an address', () => {
  /** Serves `files` by path, signature included, and lists what was asked for. */
  async function serving(files: Record<string, Uint8Array>, work: (origin: string) => Promise<void>) {
    const asked: string[] = [];
    const server = createServer(({ url = '' }, response) => {
      asked.push(url);
      const body = files[url];
      response.writeHead(body ? 200 : 404).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    } finally {
      server.closeAllConnections();
      server.close();
    }
    return asked;
  }

  test('with the signature of the address, slashes in it or not', async () => {
    const files = { '/a/m.onnx?sig=x/y': modelWith('w.bin'), '/a/w.bin?sig=x/y': weight };
    const asked = await serving(files, async (origin) => {
      expect(await weightOf(`${origin}/a/m.onnx?sig=x/y`)).toEqual([7]);
      expect(await weightOf(new URL(`${origin}/a/m.onnx?sig=x/y`))).toEqual([7]);
    });
    expect(asked).toEqual(Object.keys(files).concat(Object.keys(files)));
  });

  test.each(['%2e%2e/secret.bin', '.%2e/secret.bin', '.\t./secret.bin', '.\t./admin?delete=1'])(
    '"%s" is not asked for',
    async (location) => {
      const asked = await serving({ '/a/m.onnx': modelWith(location) }, async (origin) => {
        await expect(weightOf(`${origin}/a/m.onnx`)).rejects.toThrow(/only a relative path/);
      });
      expect(asked).toEqual(['/a/m.onnx']);
    },
  );

  test('a location is a name, not part of an address', async () => {
    const asked = await serving({ '/a/m.onnx': modelWith('admin?delete=1#%41') }, async (origin) => {
      await expect(weightOf(`${origin}/a/m.onnx`)).rejects.toThrow(InputError);
    });
    expect(asked).toEqual(['/a/m.onnx', '/a/admin%3Fdelete%3D1%23%2541']);
  });

  test.each([
    ['https://host/a/m.onnx', '../secret.bin'],
    ['https://host/a/m.onnx', 'b/../../secret.bin'],
    ['data:,model', 'w.bin'],
    ['blob:https://host/1234', 'w.bin'],
  ])('%s has no neighbour "%s"', (address, location) => {
    expect(() => neighbourUrl(address, location)).toThrow(InputError);
  });
});
