import type { Model } from '../../kind/index.ts'
import type { HubConfig } from '../../model/hub-config.ts'
import { release, scope } from '../../ops/index.ts'
import type { Adaptable } from '../../transform/index.ts'
import { io } from '../issues.ts'
import type { Io } from '../issues.ts'
import type { Pretrained } from '../hub/pretrained.ts'
import { readAdapterFolder } from './folder.ts'
import type { AdapterFiles, PeftFolder } from './folder.ts'

/** A model with an adapter on, and the configuration that the adapter came with. */
export interface PeftModel<M = Model> extends Pretrained<M> {
  /** `adapter_config.json` as it is. */
  readonly adapter: HubConfig
  /** What was trained and is not in the file, such as the encoder of P-tuning: one cannot train on as before. */
  readonly lost?: string
}

/** A model with what files say on it. */
export interface Wearing {
  readonly model: unknown
  readonly lost?: string
}

/** A model with the adapter of a folder on it; of the tensors that were read only those stay that it holds. */
export const loaded = <M>(
  folder: string,
  names: AdapterFiles,
  pretrained: Pretrained<M>,
  putOn: (files: PeftFolder) => Wearing,
): Io<PeftModel<Adaptable<M>>> =>
  io(folder, async () => {
    const files = await readAdapterFolder(folder, names, pretrained.model)
    const stored = [...files.tensors.values()]
    try {
      const worn = scope(() => putOn(files))
      // What an adapter that was on it before had lost is none of this one's.
      const { lost: _, ...base } = pretrained as Partial<PeftModel<M>>
      release(stored, { keep: [worn] })
      return { ...base, ...worn, adapter: files.config } as never
    } catch (error) {
      release(stored, { keep: [pretrained.model] })
      throw error
    }
  })
