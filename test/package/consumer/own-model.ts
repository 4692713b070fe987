// A model of a user's own, from definition to laws, in a project that knows nothing but the published package.
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  adamw,
  allOnes,
  attach,
  count,
  define,
  detach,
  fit,
  flow,
  freeze,
  key,
  layer,
  linear,
  lora,
  materialize,
  merge,
  pipe,
  project,
  select,
  show,
  targeted,
  unfreeze,
  variant,
  vector,
} from 'espalier'
import { loadAdapter, orThrow, saveAdapter } from 'espalier/io'
import { assertLaws, check, keepsTies, preservesOutputs, touchesOnly } from 'espalier/laws'
import { crossEntropy, max, abs, item, mul, relu, sub, tensor } from 'espalier/ops'

const Net = define('Net', { fc1: linear('in', 'hidden'), fc2: linear('hidden', 'out') }, (n, x, ctx) =>
  layer(n.fc2, relu(layer(n.fc1, x, ctx)), ctx),
)
const base = Net.init({ in: 2, hidden: 16, out: 2 }, key(0))
// XOR needs the biases: without them the point (0, 0) stays where it is.
const adapt = flow(
  freeze<typeof base>,
  lora({ at: ['**.fc1', 'fc2'], rank: 2, alpha: 2 }),
  unfreeze.only({ at: '**.bias' }),
)
const net = adapt(base)

// Paths complete, and a wrong one is refused by the compiler.
// @ts-expect-error there is no fc3
const refused = () => pipe(base, freeze, lora({ at: '**.fc3', rank: 2 }))
const nothing = freeze(base)
const options = {
  data: [0],
  collate: () => 0,
  loss: () => tensor(0),
  optimiser: adamw({ rate: 1 }),
  epochs: 1,
  batchSize: 1,
  key: key(0),
}
// @ts-expect-error there is nothing to train in a frozen model
const idle = () => fit(nothing, options)
void [refused, idle]

const xor = [0, 1, 2, 3].map((i) => ({ x: [i & 1, i >> 1], y: (i & 1) ^ (i >> 1) }))
const collate = (points: typeof xor) => ({
  x: tensor(points.map((p) => p.x)),
  y: tensor(
    points.map((p) => p.y),
    [points.length],
    'int32',
  ),
})
const { model, history } = await fit(net, {
  data: xor,
  collate: (points) => collate([...points]),
  loss: (m, { x, y }, ctx) => crossEntropy(Net.apply(m, x, ctx), y),
  optimiser: adamw({ rate: 0.05 }),
  epochs: 200,
  batchSize: 4,
  key: key(1),
})
const last = history.at(-1)
if (last?.kind !== 'step' || !(last.loss < 0.1)) throw new Error(`the net did not learn: ${JSON.stringify(last)}`)

const { x } = collate(xor)
const apart = (a: Parameters<typeof Net.apply>[0], b: Parameters<typeof Net.apply>[0]): number =>
  item(max(abs(sub(Net.apply(a, x), Net.apply(b, x)))))
const folder = join(mkdtempSync(join(tmpdir(), 'espalier-own-')), 'adapter')
await orThrow(saveAdapter(model, folder))
const again = await orThrow(loadAdapter(base, folder, adapt))
if (apart(model, again) !== 0) throw new Error('what was loaded is not what was saved')
if (!(apart(model, merge(model)) < 1e-4)) throw new Error('merging changed the outputs')
if (detach(model).fc1.weight.value !== base.fc1.weight.value) throw new Error('the base was copied')
if (!show(model).includes('Lora') || select(model, '**.fc1').paths.length !== 1) throw new Error('show or select')

// A weight variant of one's own: every output scaled by a number of its own.
const Scaled = variant('Scaled', {
  fields: { scale: vector('out', allOnes) },
  materialize: (w, ctx) => mul(materialize(w.base, ctx), w.scale.value),
  project: (input, w, ctx) => mul(project(input, w.base, ctx), w.scale.value),
})
const scaled = pipe(base, freeze, attach(Scaled)({ at: '**.fc1' }))
if (count(scaled).trainable !== 16) throw new Error('Scaled')
const merged: ReturnType<typeof freeze<typeof base>> = merge.knowing({ Scaled })(scaled)
if (merged.fc1.weight.value.shape.join() !== '2,16') throw new Error('merge.knowing')
assertLaws(check(attach(Scaled)({ at: '**.fc1' }), { on: Net, kinds: { Scaled }, runs: 20 }))

// A transform of one's own, and the laws it keeps.
const onlyFirst = targeted<unknown, 'freeze'>((m) => freeze.only.unchecked({ at: '**.fc2' })(m))
assertLaws(check(lora({ at: '**.fc1', rank: 2 }), { on: Net, runs: 20 }))
assertLaws(
  check(lora({ at: '**.fc1', rank: 2 }), {
    on: Net,
    laws: [preservesOutputs, keepsTies, touchesOnly('**.fc1')],
    runs: 20,
  }),
)
if (count(onlyFirst({ at: '**' })(base)).frozen !== 34) throw new Error('onlyFirst')
