import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import type { HubConfig } from '../../model/hub-config.ts'
import { read, release } from '../../ops/index.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { isThere } from '../files.ts'
import { inFile, io, issue, orThrow, refuse, reject } from '../issues.ts'
import type { Issues } from '../issues.ts'
import { readJsonFile } from '../json-file.ts'
import { modulesOf } from './modules.ts'
import type { SafetensorsHeader } from '../tensors/header.ts'
import { fromStored, readThrough } from '../tensors/safetensors.ts'
import { otherModel } from './hints.ts'

/** A folder that PEFT or a library like it wrote, read and not yet understood. */
export interface PeftFolder {
  readonly config: HubConfig
  readonly configPath: string
  /** Every tensor of the file as float32, by its name there. */
  readonly tensors: ReadonlyMap<string, Tensor>
  readonly tensorsPath: string
}

/** Numbers that are trained, each of them one. */
const allFinite = (value: Tensor): E.Either<Issues, Tensor> => {
  const wrong =
    value.dtype === 'float32'
      ? (read(value) as Float32Array).find((x) => !Number.isFinite(x))
      : `a tensor of ${value.dtype}`
  if (wrong === undefined) return E.right(value)
  release(value, { keep: [] })
  const hint = 'The training that gave it went wrong, or the file is damaged.'
  return E.left([issue('NonFinite', '', 'finite numbers in F32, F16 or BF16', String(wrong), hint)])
}

/** What a library calls the files of an adapter, and how it is told to write the safe one. */
export interface AdapterFiles {
  readonly tensors: string
  /** What it calls a pickle, if it ever writes one. */
  readonly pickle?: string
  readonly safely?: string
}

/** What PEFT calls them. */
export const peftFiles: AdapterFiles = {
  tensors: 'adapter_model.safetensors',
  pickle: 'adapter_model.bin',
  safely: 'safe_serialization=True',
}

/** Reads `adapter_config.json` and the tensors beside it, if they can be of this model: each is read by itself. */
export const readAdapterFolder = async (
  folder: string,
  { tensors: file, pickle, safely }: AdapterFiles,
  model: unknown,
): Promise<PeftFolder> => {
  const configPath = join(folder, 'adapter_config.json')
  const tensorsPath = join(folder, file)
  const config = await readJsonFile(configPath)
  if (pickle !== undefined && !(await isThere(tensorsPath)) && (await isThere(join(folder, pickle))))
    reject(
      'UnsupportedFile',
      join(folder, pickle),
      file,
      'a pickle',
      `A pickle can run any program when it is read: save the adapter again with ${safely}.`,
    )
  // More than any method has for a module.
  const most = 1000 + 16 * modulesOf(model).length
  const requireFew = ({ tensors: { size } }: SafetensorsHeader): void => {
    if (size > most)
      reject('ExtraTensor', tensorsPath, `at most ${most} tensors for a model of this size`, `${size}`, otherModel)
  }
  const stored = await orThrow(io(tensorsPath, () => readThrough(tensorsPath, requireFew, () => {})))
  const tensors = new Map<string, Tensor>()
  for (const [name, value] of stored) {
    const made = E.chain(allFinite)(fromStored(value, { halves: 'float32' }))
    if (E.isRight(made)) tensors.set(name, made.right)
    else {
      release([...tensors.values()], { keep: [] })
      refuse(made.left.map((i) => ({ ...i, path: inFile(tensorsPath, name) })))
    }
  }
  return { config, configPath, tensors, tensorsPath }
}
