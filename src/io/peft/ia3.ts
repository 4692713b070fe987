import * as t from 'io-ts'
import { initialise } from '../../kind/index.ts'
import { orNull } from '../../model/hub-config.ts'
import { ScaledOutputsKind } from '../../nn/index.ts'
import type { ScaledOutputs } from '../../nn/index.ts'
import { reshape } from '../../ops/index.ts'
import { key } from '../../tree/key.ts'
import { reject } from '../issues.ts'
import { Ia3InputsKind, Ia3Kind } from '../../weight/index.ts'
import type { Ia3, Ia3Inputs } from '../../weight/index.ts'
import { Names } from './codecs.ts'
import { edited, wrapWith } from './edit.ts'
import { writtenFor } from './layer-method.ts'
import { hasBias, targetLayers, wornOn } from './layers.ts'
import type { Worn } from './layers.ts'
import { matchAll } from './match.ts'
import type { PeftMethod, ReadJob } from './method.ts'
import { targetNames } from './target-names.ts'
import { targetingProps } from './targets.ts'
import type { Targeting } from './targets.ts'

interface Ia3Config extends Targeting {
  readonly feedforward_modules: string | readonly string[] | null
  readonly fan_in_fan_out: boolean
}

/** Which of some layers are scaled at their inputs; of a list PEFT takes the end of a name here, with no dot before it. */
const feedforward = ({ config, targets, at }: ReadJob<Ia3Config>): ((path: string) => boolean) => {
  const names = config.feedforward_modules ?? []
  if (typeof names !== 'string') return (path) => names.some((name) => path.endsWith(name))
  const paths = targets.map(({ path }) => path)
  const [found] = matchAll([`(?:${names})$`], paths, at('feedforward_modules'))
  return (path) => found?.has(path) === true
}

/** Both lists of names, of which PEFT wants one within the other: as the targets are named, or in full where that mixes them up. */
const namesFor = (targets: readonly string[], worn: readonly Worn<{ readonly _tag: string }>[]) => {
  const isInputs = ({ node }: (typeof worn)[number]): boolean => node._tag === 'Ia3Inputs'
  const among = (names: readonly string[]): readonly string[] =>
    names.filter((name) => worn.some((one) => isInputs(one) && one.module.endsWith(name)))
  const tells = worn.every((one) => isInputs(one) === among(targets).some((name) => one.module.endsWith(name)))
  const full = worn.map(({ module }) => module).toSorted()
  return tells
    ? { target_modules: targets, feedforward_modules: among(targets) }
    : {
        target_modules: full,
        feedforward_modules: full.filter((name) => worn.some((one) => isInputs(one) && one.module === name)),
      }
}

/** IA³ as PEFT has it: inputs of feed-forward layers are scaled, and of others what they give, bias included. */
export const ia3Method: PeftMethod<Ia3Config> = {
  type: 'IA3',
  spec: {
    props: { ...targetingProps, feedforward_modules: orNull(Names), fan_in_fan_out: t.boolean },
    defaults: { fan_in_fan_out: false },
    harmless: ['init_ia3_weights'],
  },
  read: (job) => {
    const isFeedforward = feedforward(job)
    const edits = targetLayers(job).map(
      ({ path, inputs, outputs, biased }): readonly [string, (node: unknown) => unknown] => {
        if (isFeedforward(path)) {
          const scale = reshape(job.tensor(path, 'ia3_l', [1, inputs]), [inputs])
          return [`${path}.weight`, wrapWith(Ia3InputsKind, {}, { scale })]
        }
        const scale = reshape(job.tensor(path, 'ia3_l', [outputs, 1]), [outputs])
        if (!biased) return [`${path}.weight`, wrapWith(Ia3Kind, {}, { scale })]
        const fresh = initialise(ScaledOutputsKind, { out: outputs }, key('peft'), { scale }, path) as ScaledOutputs
        return [path, (base) => ({ ...fresh, base })]
      },
    )
    return edited(job.model, new Map(edits))
  },
  write: (job) => {
    const worn = wornOn<Ia3 | Ia3Inputs | ScaledOutputs>(job, 'Ia3', 'Ia3Inputs', 'ScaledOutputs')
    if (worn === undefined) return undefined
    for (const { module, node } of worn)
      if (node._tag === 'Ia3' && hasBias(job.nodes, module))
        reject(
          'UnsupportedAdapter',
          module,
          'a layer without a bias, or ia3.layers on it',
          'factors for x·W alone, and a bias beside it',
          'PEFT scales what a layer gives, its bias included: ia3.layers does so.',
        )
    const modules = worn.map(({ module }) => module)
    return writtenFor(
      job,
      modules,
      {
        config: namesFor(targetNames(job, modules).target_modules, worn),
        tensors: worn.map(({ module, node: { _tag, scale } }) => [
          module,
          'ia3_l',
          reshape(scale.value, _tag === 'Ia3Inputs' ? [1, scale.value.size] : [scale.value.size, 1]),
        ]),
      },
      { conv1d: true, begins: { init_ia3_weights: true } },
    )
  },
}
