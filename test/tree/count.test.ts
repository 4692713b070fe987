import { expect, test } from 'vitest'
import { constant, count, freeze, lora, merge, param, pipe, prompt, sllm, key } from '../../src/index.ts'
import { zeros } from '../../src/ops/index.ts'

test('a tied parameter counts once, a constant and plain data not at all', () => {
  const w = param('matrix', 'w', zeros([3, 4]))
  const tree = {
    a: w,
    b: { c: w },
    rope: constant('rope', zeros([100])),
    eps: 5,
    scalar: param('vector', 's', zeros([])),
  }
  expect(count(tree)).toEqual({ parameters: 13, trainable: 13, frozen: 0 })
})

test('the seed configuration: whole, frozen, with LoRA, with a prompt, merged', () => {
  const base = sllm.init(sllm.config.seed, key(0))
  const frozen = freeze(base)
  const tuned = lora({ at: ['**.ln_1', '**.c_proj'], rank: 16, alpha: 30 })(frozen)
  expect(count(base)).toEqual({ parameters: 13_698_976, trainable: 13_698_976, frozen: 0 })
  expect(count(frozen)).toEqual({ parameters: 13_698_976, trainable: 0, frozen: 13_698_976 })
  expect(count(tuned)).toEqual({ parameters: 13_715_360, trainable: 16_384, frozen: 13_698_976 })
  expect(count(merge(tuned))).toEqual(count(frozen))
  expect(count(pipe(frozen, prompt({ length: 14 })))).toEqual({
    parameters: 13_700_768,
    trainable: 1_792,
    frozen: 13_698_976,
  })
})
