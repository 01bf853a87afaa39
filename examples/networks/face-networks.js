/** MTCNN's three networks in Octet, as `detectFaces` takes them. */
import { loadModel } from 'octetjs';

/** @param folder address of the models, with a slash at its end */
export async function loadFaceNetworks(folder, options = {}) {
  const load = (name, more) => loadModel(new URL(`faces-${name}.int8.onnx`, folder), { ...options, ...more });
  const [refinement, output] = await Promise.all([load('refinement'), load('output')]);
  /** The proposing network, by the size that it is loaded for: a pyramid has the same sizes for every picture of a camera. */
  const proposals = new Map();
  const run = async (model, input) => (await model.run({ input })).outputs;
  return {
    backend: output.backend,
    propose: async (picture) => {
      const { width, height } = picture;
      const key = `${width}×${height}`;
      if (!proposals.has(key)) proposals.set(key, load('proposal', { inputShape: { height, width } }));
      return run(await proposals.get(key), picture);
    },
    refine: (pictures) => run(refinement, pictures),
    finish: (pictures) => run(output, pictures),
    dispose: async () => {
      for (const model of [refinement, output, ...(await Promise.all(proposals.values()))]) model.dispose();
    },
  };
}
