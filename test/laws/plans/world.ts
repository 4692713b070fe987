/*
 * A model so simple that it is plainly right: for each path of a small SLLM what is known of it, in a Map. No tree, no
 * selector and no tensor is in here.
 */

export type Status = 'trainable' | 'frozen'

/** What something attached is known by. */
export interface Attached {
  readonly tag: string
  readonly parameters: number
  readonly status: Status
}

/** A parameter of the base. */
export interface Spec {
  readonly form: 'matrix' | 'table' | 'vector'
  readonly shape: readonly number[]
  readonly status: Status
  /** Whether its value is still the one of the beginning. */
  readonly original: boolean
  readonly adapter?: Attached
}

/** All that is known: parameters by path, and what wraps nodes, by the path of the node. */
export interface World {
  readonly parameters: ReadonlyMap<string, Spec>
  readonly nodes: ReadonlyMap<string, Attached | undefined>
}

export const config = { vocab_size: 6, d_model: 4, d_head: 3, n_heads: 2, n_layers: 2, context_window: 16, bias: true }

const { vocab_size: vocab, d_model: d, context_window: length } = config
const wide = config.d_head * config.n_heads

const linear = (name: string, inputs: number, outputs: number): readonly (readonly [string, readonly number[]])[] => [
  [`${name}.weight`, [inputs, outputs]],
  [`${name}.bias`, [outputs]],
]
const norm = (name: string): readonly (readonly [string, readonly number[]])[] => [
  [`${name}.scale`, [d]],
  [`${name}.shift`, [d]],
]

const block = (i: number) => {
  const at = `transformer_blocks.${i}`
  return [
    ...norm(`${at}.ln1`),
    ...['Wq', 'Wk', 'Wv'].flatMap((name) => linear(`${at}.mha.${name}`, d, wide)),
    ...linear(`${at}.mha.projection_out`, wide, d),
    ...norm(`${at}.ln2`),
    ...linear(`${at}.mlp.ln_1`, d, d),
    ...linear(`${at}.mlp.c_proj`, d, d),
  ]
}

const tables: readonly (readonly [string, readonly number[]])[] = [
  ['embedding_block.token_embdgs.weight', [vocab, d]],
  ['embedding_block.position_embdgs.weight', [length, d]],
]

/** The SLLM as it begins. */
export const start: World = {
  parameters: new Map(
    [...tables, ...block(0), ...block(1), ...norm('final_norm'), ...linear('out_head', d, vocab)].map(
      ([path, shape]): readonly [string, Spec] => [
        path,
        {
          form: path.startsWith('embedding_block') ? 'table' : shape.length === 2 ? 'matrix' : 'vector',
          shape,
          status: 'trainable',
          original: true,
        },
      ],
    ),
  ),
  // Every node that some method wraps.
  nodes: new Map([['embedding_block.token_embdgs', undefined]]),
}

const part = (name: string) => (path: string) => path.split('.').includes(name)

/** What each pattern names, in plain words; undefined stands for a transform of the whole model. */
export const patterns: Readonly<Record<string, (path: string) => boolean>> = {
  '**': () => true,
  '**.mlp': part('mlp'),
  '**.{Wq,Wv}': (path) => part('Wq')(path) || part('Wv')(path),
  'transformer_blocks.0': (path) => path.startsWith('transformer_blocks.0.'),
  'transformer_blocks.{-1..-1}.mha': (path) => path.startsWith('transformer_blocks.1.mha.'),
  'transformer_blocks.*.mlp.c_proj': part('c_proj'),
  '**.weight': (path) => part('weight')(path),
  '**.bias': (path) => part('bias')(path),
  '**.projection_out': part('projection_out'),
  out_head: part('out_head'),
  final_norm: part('final_norm'),
  embedding_block: part('embedding_block'),
  '**.token_embdgs': part('token_embdgs'),
}

const everything = (): boolean => true
export const named = (at: string | undefined): ((path: string) => boolean) =>
  at === undefined ? everything : patterns[at]!

/** What a node's wrapper adds lies below the node, so that patterns name it with the node. */
const inNode = (path: string): string => `${path}.own`

/** The paths of nodes that methods wrap, under a pattern. */
export const nodesAt = ({ nodes }: World, at: string | undefined): readonly string[] =>
  [...nodes.keys()].filter((path) => named(at)(inNode(path)))

export const specsAt = ({ parameters }: World, at: string | undefined): readonly Spec[] =>
  [...parameters].filter(([path]) => named(at)(path)).map(([, spec]) => spec)

/** The world with what a pattern names changed. */
export const changed = (
  { parameters, nodes }: World,
  at: string | undefined,
  parameter: (s: Spec) => Spec,
  node: (a: Attached | undefined) => Attached | undefined = (a) => a,
): World => ({
  parameters: new Map([...parameters].map(([path, s]) => [path, named(at)(path) ? parameter(s) : s])),
  nodes: new Map([...nodes].map(([path, a]) => [path, named(at)(inNode(path)) ? node(a) : a])),
})

export const bare = ({ form, shape, status, original }: Spec): Spec => ({ form, shape, status, original })

const size = (shape: readonly number[]): number => shape.reduce((n, x) => n * x, 1)

/** How many parameters there are, and how many of them are trained. */
export const counted = ({ parameters, nodes }: World) => {
  const all = [...parameters.values()].flatMap((s) => [
    { parameters: size(s.shape), status: s.status },
    ...(s.adapter === undefined ? [] : [s.adapter]),
  ])
  const each = [...all, ...[...nodes.values()].filter((a) => a !== undefined)]
  const sum = (status: Status) => each.reduce((n, a) => n + (a.status === status ? a.parameters : 0), 0)
  return { parameters: sum('trainable') + sum('frozen'), trainable: sum('trainable'), frozen: sum('frozen') }
}
