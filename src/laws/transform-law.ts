import { vacuous } from './law.ts'
import type { Law, Verdict } from './law.ts'
import type { Declaration, Trial } from './trial.ts'

/** A law of transforms, and to which transforms it applies by what they declare. */
export interface TransformLaw extends Law<Trial> {
  /** Whether a transform that declares this must obey it. */
  readonly applies: (declared: Declaration) => boolean
  /** True when it runs the model, which a bare tree does not allow. */
  readonly needsOutputs: boolean
}

type Parts = Pick<TransformLaw, 'name' | 'says' | 'equality' | 'check'> & {
  readonly applies?: (declared: Declaration) => boolean
}

/** A law that looks at trees only. */
export const structural = ({ applies = () => true, ...law }: Parts): TransformLaw => ({ ...law, applies, needsOutputs: false })

/** A law that runs the model. */
export const numeric = ({ applies = () => true, check, ...law }: Parts): TransformLaw => ({
  ...law,
  applies,
  needsOutputs: true,
  check: (trial): Verdict =>
    trial.forward === undefined ? vacuous('a bare tree has no outputs: pass { on: Net } or { on: sllm }') : check(trial),
})
