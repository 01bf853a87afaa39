/** MTCNN's three networks in Octet, as `detectFaces` takes them. */
import { loadModel } from 'octetjs';

/** Sizes of a pyramid, which are the same for every picture of a camera: prepared on the first, kept for the next. */
const PYRAMID_SIZES = 16;

/** @param folder address of the models, with a slash at its end */
export async function loadFaceNetworks(folder, options = {}) {
  const load = (name) =>
    loadModel(new URL(`faces-${name}.int8.onnx`, folder), { ...options, maxInputShapes: PYRAMID_SIZES });
  // The first leaves height and width open, and runs at those of each picture.
  const networks = await Promise.all(['proposal', 'refinement', 'output'].map(load));
  const [propose, refine, finish] = networks.map(
    (model) => async (input) => (await model.run({ input })).outputs,
  );
  return {
    backend: networks[0].backend,
    propose,
    refine,
    finish,
    dispose() {
      for (const model of networks) model.dispose();
    },
  };
}
