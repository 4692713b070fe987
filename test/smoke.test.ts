import { expect, test } from 'vitest'
import { pipe, sllm, freeze, lora, merge, detach, count, key, show, diff, prompt, define, linear, layer, select } from '../src/index.ts'
import { relu, tensor, read, zeros } from '../src/ops/index.ts'

test('five minutes', () => {
  console.time('init')
  const base = sllm.init(sllm.config.seed, key(0))
  console.timeEnd('init')
  expect(count(base)).toEqual({ parameters: 13_698_976, trainable: 13_698_976, frozen: 0 })
  const tuned = pipe(base, freeze, lora({ at: ['**.ln_1', '**.c_proj'], rank: 16, alpha: 30, key: key(1) }))
  expect(count(tuned)).toEqual({ parameters: 13_715_360, trainable: 16_384, frozen: 13_698_976 })
  const p = pipe(base, freeze, prompt({ length: 14 }))
  expect(count(p).trainable).toBe(1792)
  console.log(show(tuned, { color: true }))
  console.log(String(diff(base, tuned)))
  console.log(select(base, '**.ln_1'))
  const ids = tensor([[1, 2, 3]], undefined, 'int32')
  const y = sllm.apply(tuned, ids)
  expect(y.shape).toEqual([1, 3, 52000])
  expect(read(sllm.apply(merge(tuned), ids))).toEqual(read(y))
  expect(read(sllm.apply(detach(tuned), ids))).toEqual(read(y))
  expect(sllm.apply(p, ids).shape).toEqual([1, 17, 52000])
  const Net = define('Net', { fc1: linear('in', 'hidden'), fc2: linear('hidden', 'out') },
    (n, x, ctx) => layer(n.fc2, relu(layer(n.fc1, x, ctx)), ctx))
  const net = pipe(Net.init({ in: 4, hidden: 8, out: 2 }, key(0)), freeze, lora({ at: '**.fc1', rank: 2 }))
  expect(Net.apply(net, zeros([3, 4])).shape).toEqual([3, 2])
  expect(() => lora({ at: 'fc1', rank: 2 })(net as never)).toThrow(/AlreadyAdapted/)
  expect(() => lora({ at: ['**.c_porj' as string], rank: 2 })(base)).toThrow(/Did you mean/)
  expect(() => lora({ at: ['**.ln1' as string], rank: 2 })(base)).toThrow(/NotATarget/)
  expect(() => lora({ at: '**.ln_1', rank: 0.5 })(base)).toThrow(/positive whole/)
})
