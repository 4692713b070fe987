import { define, embed, embedding, key, layer, linear, list, norm, projectT, table } from '../../src/index.ts'

/** A language model whose head multiplies by the table of its embedding, transposed: one leaf in two places. */
export const Tied = define(
  'Tied',
  {
    words: embedding('vocab', 'd'),
    mlp: linear('d', 'd'),
    norm: norm('d'),
    head: table('vocab', 'd'),
  },
  (n, ids, ctx) => {
    const { hidden } = embed(n.words, { ids }, ctx)
    return projectT(layer(n.norm, layer(n.mlp, hidden, ctx), ctx), n.head, ctx)
  },
)

const untied = Tied.init({ vocab: 7, d: 4 }, key(0))
/** Tied by the leaf: `words.weight` and `head`. */
export const tiedHead = { ...untied, head: untied.words.weight }

/** A network that uses one layer twice, and one weight in two layers besides. */
export const Shared = define(
  'Shared',
  { steps: list(linear('d', 'd'), 'depth'), fc1: linear('d', 'd'), fc2: linear('d', 'd'), out: linear('d', 'o') },
  (n, x, ctx) =>
    layer(
      n.out,
      [...n.steps, n.fc1, n.fc2].reduce((h, l) => layer(l, h, ctx), x),
      ctx,
    ),
)

const apart = Shared.init({ d: 4, depth: 2, o: 3 }, key(1))
const [first] = apart.steps
/** Tied by the node, `steps.0` and `steps.1`, and by the leaf, `fc1.weight` and `fc2.weight`. */
export const tiedLayers = {
  ...apart,
  steps: [first!, first!],
  fc2: { ...apart.fc2, weight: apart.fc1.weight },
}

const twoTowers = define(
  'Towers',
  { query: embedding('vocab', 'd'), doc: embedding('vocab', 'd'), out: linear('d', 'o') },
  (n, ids, ctx) => layer(n.out, embed(n.doc, { ids }, ctx).hidden, ctx),
)
const towers = twoTowers.init({ vocab: 7, d: 4, o: 2 }, key(2))
/** Two towers with one and the same embedding, node and all. */
export const tiedTowers = { ...towers, doc: towers.query }
