import { loadModel } from '../../src/index.ts';
import type { LoadContender } from './contender.ts';

export const load: LoadContender = async ({ device, threads }, files) => {
  const model = await loadModel(files.model, { backend: device, threads, tune: 'off' });
  const inputName = model.inputs[0].name;
  const outputName = model.outputs[0].name;
  return {
    detail: model.backendReason,
    async run({ pixels }) {
      const { outputs } = await model.run({ [inputName]: { pixels } });
      return outputs[outputName].data;
    },
    dispose: () => model.dispose(),
  };
};
