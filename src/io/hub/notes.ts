import { padOf, withPad } from '../../model/heads.ts'
import type { HubConfig } from '../../model/hub-config.ts'
import type { Task } from '../../model/family.ts'
import { readAdapter } from '../own/adapter.ts'
import { isRecord } from '../codec.ts'
import { orThrow } from '../issues.ts'
import type { PeftModel } from '../peft/loaded.ts'
import { taskNamed } from '../peft/tasks.ts'
import type { Pretrained } from './pretrained.ts'

/** What is noted with an adapter of a model of the Hub: how its base is opened, and where the adapter came from. */
export interface AdapterNotes {
  /** The task of its base. */
  readonly task?: Task
  /** The id by which a causal classifier tells padding, where the configuration of its base names none. */
  readonly pad?: number
  /** `adapter_config.json`, of an adapter that came from PEFT. */
  readonly peft?: HubConfig
  /** What was trained and is not in the file. */
  readonly lost?: string
}

/** A model of the Hub, and what was said by the file of what stands on it. */
export type Adapted<M = unknown> = Pretrained<M> & Partial<Pick<PeftModel, 'adapter' | 'lost'>>

/** What is to be noted with what stands on a model. */
export const notesOf = ({ model, task, adapter: peft, lost }: Adapted): AdapterNotes => {
  const pad = padOf(model) ?? -1
  return { task, ...(pad >= 0 && { pad }), ...(peft && { peft }), ...(lost !== undefined && { lost }) }
}

/** What is noted with an adapter of ours; whoever saved it may have noted other things, which say nothing here. */
export const readNotes = async (folder: string): Promise<AdapterNotes> => {
  const { notes } = await orThrow(readAdapter(folder))
  const { task, pad, peft, lost } = isRecord(notes) ? notes : {}
  const known = taskNamed(task)
  return {
    ...(known && { task: known }),
    ...(Number.isSafeInteger(pad) && { pad: pad as number }),
    ...(isRecord(peft) && { peft }),
    ...(typeof lost === 'string' && { lost }),
  }
}

/** A causal classifier whose configuration names no padding, told one; any other model as it is. */
export const paddedWith = <P extends Pretrained<unknown>>(pretrained: P, pad: number): P =>
  padOf(pretrained.model) === -1
    ? {
        ...pretrained,
        model: withPad(pretrained.model, pad),
        config: { ...pretrained.config, pad_token_id: pad },
      }
    : pretrained
