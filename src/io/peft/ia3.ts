import * as t from 'io-ts'
import { initialise } from '../../kind/index.ts'
import { orNull } from '../../model/hub-config.ts'
import { ScaledKind } from '../../nn/index.ts'
import type { Scaled } from '../../nn/index.ts'
import { reshape } from '../../ops/index.ts'
import { key } from '../../tree/key.ts'
import { reject } from '../issues.ts'
import { Ia3InputsKind, Ia3Kind } from '../../weight/index.ts'
import type { Ia3, Ia3Inputs } from '../../weight/index.ts'
import { Names } from './codecs.ts'
import { edited, wrapWith } from './edit.ts'
import { hasBias, named, targetLayers, wornOn } from './layers.ts'
import type { PeftMethod } from './method.ts'
import { targetingProps } from './targets.ts'
import type { Targeting } from './targets.ts'

interface Ia3Config extends Targeting {
  readonly feedforward_modules: string | readonly string[] | null
  readonly fan_in_fan_out: boolean
}

// PEFT asks for the end of a name here, not for a name at its end: no dot has to stand before it.
const isFeedforward = (names: string | readonly string[] | null, path: string): boolean =>
  typeof names === 'string'
    ? new RegExp(`^(?:${names})$`).test(path)
    : (names ?? []).some((name) => path.endsWith(name))

/** IA³ as PEFT has it: inputs of feed-forward layers are scaled, and of others what they give, bias included. */
export const ia3Method: PeftMethod<Ia3Config> = {
  type: 'IA3',
  spec: {
    props: { ...targetingProps, feedforward_modules: orNull(Names), fan_in_fan_out: t.boolean },
    defaults: { fan_in_fan_out: false },
    harmless: ['init_ia3_weights'],
  },
  read: (job) => {
    const edits = targetLayers(job).map(
      ({ path, inputs, outputs, biased }): readonly [string, (node: unknown) => unknown] => {
        const scales = job.tensor(path, 'ia3_l')
        if (isFeedforward(job.config.feedforward_modules, path))
          return [`${path}.weight`, wrapWith(Ia3InputsKind, {}, { scale: reshape(scales, [inputs]) })]
        const scale = reshape(scales, [outputs])
        if (!biased) return [`${path}.weight`, wrapWith(Ia3Kind, {}, { scale })]
        const fresh = initialise(ScaledKind, { out: outputs }, key('peft'), { scale }, path) as Scaled
        return [path, (base) => ({ ...fresh, base })]
      },
    )
    return edited(job.model, new Map(edits))
  },
  write: (job) => {
    const worn = wornOn<Ia3 | Ia3Inputs | Scaled>(job, 'Ia3', 'Ia3Inputs', 'Scaled')
    if (worn === undefined) return undefined
    for (const { module, node } of worn)
      if (node._tag === 'Ia3' && hasBias(job.model, module))
        reject(
          'UnsupportedAdapter',
          module,
          'a layer without a bias, or ia3.layers on it',
          'factors for x·W alone, and a bias beside it',
          'PEFT scales what a layer gives, its bias included: ia3.layers does so.',
        )
    const modules = worn.map(({ module }) => module)
    const atInputs = worn.filter(({ node }) => node._tag === 'Ia3Inputs').map(({ module }) => module)
    return {
      config: { target_modules: modules.toSorted(), feedforward_modules: atInputs.toSorted() },
      tensors: named(
        worn.map(({ module, node: { _tag, scale } }) => [
          module,
          'ia3_l',
          reshape(scale.value, _tag === 'Ia3Inputs' ? [1, scale.value.size] : [scale.value.size, 1]),
        ]),
      ),
    }
  },
}
