import { familyNamed } from '../hub/plan.ts'
import { reject } from '../issues.ts'
import type { WriteJob } from './method.ts'
import { namedBy } from './targets.ts'
import { saveOurs } from './hints.ts'

const sortedOnce = (names: readonly string[]): readonly string[] => [...new Set(names)].toSorted()

/** The keys of a configuration that name these modules and no others: by their last names where that is enough. */
export const targetNames = (
  { modules, pretrained }: WriteJob,
  paths: readonly string[],
): { readonly target_modules: readonly string[]; readonly fan_in_fan_out: boolean } => {
  const short = sortedOnce(paths.map((path) => path.split('.').at(-1) ?? path))
  const wanted = sortedOnce(paths)
  const names = [short, wanted].find(
    (target_modules) => [...namedBy({ target_modules }, modules, (key) => key)].toSorted().join() === wanted.join(),
  )
  const { untransposed } = familyNamed(pretrained.family)
  return {
    target_modules:
      names ??
      reject(
        'UnsupportedAdapter',
        wanted[0] ?? '',
        'modules whose names no others end in',
        `${wanted.length} names that name more`,
        `PEFT cannot tell them apart. ${saveOurs}`,
      ),
    fan_in_fan_out: paths.some((path) => untransposed?.test(`${path}.weight`) === true),
  }
}
