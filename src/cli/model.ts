import { stat } from 'node:fs/promises'
import { sllm } from '../model/sllm.ts'
import { key } from '../tree/key.ts'
import { loadModel, orThrow } from '../io/index.ts'
import { usage } from './errors.ts'

/** The model a name or a folder stands for. */
export const openModel = async (name: string): Promise<unknown> => {
  if (name === 'sllm') return sllm.init(sllm.config.seed, key(0))
  const found = await stat(name).catch(() => undefined)
  if (found?.isDirectory() !== true)
    throw usage(
      '--model',
      '"sllm" or a folder that holds a saved model',
      `"${name}"`,
      'Save one with saveModel, or name sllm.',
    )
  return orThrow(loadModel(name))
}
