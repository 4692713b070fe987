import { equal } from '../../transform/index.ts'
import { diff } from '../../tree/diff.ts'
import { ties } from '../../tree/labels.ts'
import { all, verdict } from '../law.ts'
import { salted } from '../models.ts'
import { structural } from '../transform-law.ts'
import type { TransformLaw } from '../transform-law.ts'
import { digests, perturbed } from '../values.ts'

/** What loading gives is what was saved: structure, plain data such as alpha, ties, and every bit of every value. */
export const survivesSaveLoad: TransformLaw = structural({
  name: 'survivesSaveLoad',
  says: 'decode(encode(m)) is m: structure, plain data, labels, ties and every bit.',
  equality: 'bitwise',
  check: (trial) => {
    const saved = perturbed(trial.transform(trial.model), salted(trial, 'saved'), trial)
    const loaded = trial.tools.throughFile(saved)
    const [was, is] = [digests(saved), digests(loaded)]
    const changed = [...was].find(([path, digest]) => is.get(path) !== digest)?.[0]
    return all(
      () => verdict(changed === undefined, `the values of ${changed} came back otherwise`),
      () => verdict(equal(saved, loaded), `what came back is not what was saved: ${diff(saved, loaded).toString()}`),
      () => verdict(JSON.stringify(ties(saved)) === JSON.stringify(ties(loaded)), 'ties came back otherwise'),
    )
  },
})
