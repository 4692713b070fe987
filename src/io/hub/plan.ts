import type { AnyFamily, Plan, Task } from '../../model/family.ts'
import { classifies } from '../../model/family.ts'
import { families } from '../../model/families.ts'
import { decodeHubConfig } from '../../model/hub-config.ts'
import type { HubConfig } from '../../model/hub-config.ts'
import { isRecord } from '../codec.ts'
import { describe, inFile, reject, rightOr } from '../issues.ts'

/** What may be told of a model besides its configuration. */
export interface PlanOptions {
  /** What the model is for, where that is not what its configuration says. */
  readonly task?: Task
  /** The classes of a classifier, their number or their names; by default what the configuration says. */
  readonly labels?: number | readonly string[]
  /** Fields of the configuration that nothing here knows, and that are known to you to change nothing that is computed. */
  readonly ignore?: readonly string[]
}

const countOf = (labels: PlanOptions['labels']): number | undefined =>
  typeof labels === 'object' ? labels.length : labels

const tasks: readonly (readonly [RegExp, Task])[] = [
  [/For(CausalLM)$|LMHeadModel$/, 'causal-lm'],
  [/ForSequenceClassification$/, 'sequence-classification'],
  [/ForTokenClassification$/, 'token-classification'],
]

/** What the class that a checkpoint was saved from is for; heads that are not here leave the body. */
const taskOf = ({ architectures }: HubConfig): Task => {
  const name = String(Array.isArray(architectures) ? (architectures[0] ?? '') : '')
  return tasks.find(([pattern]) => pattern.test(name))?.[1] ?? 'base'
}

const saidLabels = ({ id2label, num_labels = 2 }: HubConfig): unknown =>
  isRecord(id2label) ? Object.keys(id2label).length : num_labels

const labelsOf = (config: HubConfig, path: string): number => {
  const labels = saidLabels(config)
  if (typeof labels === 'number' && Number.isSafeInteger(labels) && labels > 0) return labels
  const [field, expected] = isRecord(config['id2label'])
    ? ['id2label', 'a label or more']
    : ['num_labels', 'a positive whole number']
  return reject(
    'BadConfig',
    inFile(path, field),
    expected,
    describe(labels),
    'Or pass { labels } for a head of its own.',
  )
}

/** The family of this name. @internal */
export const familyNamed = (name: string): AnyFamily =>
  families.find((family) => family.name === name) ??
  reject(
    'UnsupportedModel',
    'family',
    families.map((f) => f.name).join(', '),
    name,
    'Models of other families have no names in files.',
  )

/** The family of a configuration. */
const familyOf = (config: HubConfig, path: string): AnyFamily => {
  const type = config['model_type']
  return (
    families.find(({ modelTypes }) => modelTypes.includes(String(type))) ??
    reject(
      'UnsupportedModel',
      inFile(path, 'model_type'),
      families.flatMap(({ modelTypes }) => modelTypes).join(', '),
      JSON.stringify(type) ?? 'nothing',
      'Models of other families can be defined with `define` and loaded with readSafetensors.',
    )
  )
}

/** A configuration as a plan, or every reason why not. @internal */
export const planOf = (
  config: HubConfig,
  path: string,
  { task = taskOf(config), labels, ignore = [] }: PlanOptions = {},
): { readonly family: AnyFamily; readonly task: Task; readonly plan: Plan } => {
  const family = familyOf(config, path)
  const spec = { ...family.spec, harmless: [...(family.spec.harmless ?? []), ...ignore] }
  const decoded = rightOr(decodeHubConfig<unknown>(spec, config), (i) => ({ ...i, path: inFile(path, i.path) }))
  const { build } =
    family.plans[task] ??
    reject(
      'UnsupportedModel',
      inFile(path, 'architectures'),
      `a task of ${family.name}: ${Object.keys(family.plans).join(', ')}`,
      task,
      'Pass { task } for another one.',
    )
  return { family, task, plan: build(decoded, classifies(task) ? (countOf(labels) ?? labelsOf(config, path)) : 0) }
}

/** A configuration that says what the model is for now. */
export const retasked = (
  config: HubConfig,
  family: AnyFamily,
  task: Task,
  labels: PlanOptions['labels'],
): HubConfig => ({ ...config, architectures: [family.plans[task]?.architecture], ...namesOf(labels, config) })

const namesOf = (labels: PlanOptions['labels'], config: HubConfig): HubConfig => {
  const count = countOf(labels)
  if (count === undefined || (typeof labels === 'number' && labels === saidLabels(config))) return {}
  const names = typeof labels === 'object' ? labels : Array.from({ length: count }, (_, i) => `LABEL_${i}`)
  return {
    id2label: Object.fromEntries(names.map((name, i) => [i, name])),
    label2id: Object.fromEntries(names.map((name, i) => [name, i])),
  }
}
