import { isOtherHead } from '../../model/head-names.ts'
import { didYouMean } from '../../tree/nearest.ts'
import type { Tensor } from '../../tree/tensor.ts'
import { hubCandidates } from '../hub/hub-names.ts'
import { inFile, issue, refuse, reject } from '../issues.ts'
import type { PeftFolder } from './folder.ts'
import type { Lookup } from './method.ts'

// Methods that put something before the text have no wrapper of their own around the model.
const prefix = /^base_model\.(model\.)?/

const most = 10

/** Tensors of a file by module and suffix, and which of them nobody has asked for. */
export interface Reader extends Lookup {
  /** The names, bare of PEFT's prefix, that nothing has asked for. */
  readonly unused: () => readonly string[]
  readonly requireAllUsed: () => void
  /** Where in which file a bare name lies. */
  readonly place: (name: string) => string
}

const hintFor = (name: string, used: ReadonlySet<string>): string =>
  isOtherHead(name.replace(prefix, ''))
    ? "It is of a head that this model has not: load the base with { task: 'sequence-classification', labels, key }, or 'token-classification'."
    : `Is it of a module that this model has not, or that no target names? ${didYouMean(name, [...used])}`

/** Finds tensors by the names of modules; an adapter of the body alone has no name of the body in its keys, and the other way round. */
export const readerOf = ({ tensors, tensorsPath }: PeftFolder, body: string): Reader => {
  const used = new Set<string>()
  const byName = new Map(
    [...tensors].flatMap(([name, value]) =>
      hubCandidates(name.replace(prefix, ''), body).map((candidate) => [candidate, { name, value }] as const),
    ),
  )
  const found = (name: string, shape?: readonly number[]): Tensor | undefined => {
    const entry = byName.get(name.replace(prefix, ''))
    if (entry === undefined) return undefined
    used.add(entry.name)
    const there = entry.value.shape
    if (shape !== undefined && there.join() !== shape.join())
      reject(
        'ShapeMismatch',
        inFile(tensorsPath, entry.name),
        `[${shape.join(', ')}], as the model and adapter_config.json have it`,
        `[${there.join(', ')}]`,
        'The adapter was trained on a model of another size, or its configuration belongs to another.',
      )
    return entry.value
  }
  const required = (name: string, shown: string, shape?: readonly number[]): Tensor =>
    found(name, shape) ??
    reject(
      'MissingTensor',
      inFile(tensorsPath, shown),
      'a tensor of this name, as adapter_config.json asks for',
      'none',
      'The adapter is not whole, or its configuration belongs to another.',
    )
  const rest = (): readonly string[] => [...tensors.keys()].filter((name) => !used.has(name))
  return {
    global: (name, shape) => required(name, name, shape),
    maybe: (module, suffix, shape) => found(`${module}.${suffix}`, shape),
    tensor: (module, suffix, shape) => required(`${module}.${suffix}`, `base_model.model.${module}.${suffix}`, shape),
    place: (name) => inFile(tensorsPath, byName.get(name)?.name ?? name),
    unused: () => rest().map((name) => name.replace(prefix, '')),
    requireAllUsed: () => {
      const extra = rest()
      refuse(
        extra
          .slice(0, most)
          .map((name, i) =>
            issue(
              'ExtraTensor',
              inFile(tensorsPath, name),
              'a tensor that adapter_config.json speaks of',
              extra.length > most && i === most - 1 ? `another, and ${extra.length - most} more` : 'another',
              hintFor(name, used),
            ),
          ),
      )
    },
  }
}
