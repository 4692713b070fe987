/*
 * A model so simple that it is plainly right: for each path of a small SLLM what is known of it, in a Map. No tree, no
 * selector and no tensor is in here.
 */

export type Status = 'trainable' | 'frozen'

/** Some of what a method has added: how many parameters, and whether they are trained. */
export interface Own {
  readonly parameters: number
  readonly status: Status
}

/** What something attached is known by: its tag, and its parameters by their paths below the place it wraps. */
export interface Attached {
  readonly tag: string
  readonly own: Readonly<Record<string, Own>>
}

/** A parameter of the base. */
export interface Spec {
  readonly form: 'matrix' | 'table' | 'vector'
  readonly shape: readonly number[]
  readonly status: Status
  /** Whether it is held in few bits; then it is never trained, though it is counted. */
  readonly packed: boolean
  /** Whether its value, or its codes, are still those that it began with: of the model, or of the last quantisation. */
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

/** The path of the model as a whole. */
export const root = ''

/** Every linear layer. */
export const linears: readonly string[] = [
  ...[0, 1].flatMap((i) =>
    ['mha.Wq', 'mha.Wk', 'mha.Wv', 'mha.projection_out', 'mlp.ln_1', 'mlp.c_proj'].map(
      (name) => `transformer_blocks.${i}.${name}`,
    ),
  ),
  'out_head',
]

/** Every node that some method wraps. */
const wrappable: readonly string[] = [
  root,
  'embedding_block.token_embdgs',
  ...[0, 1].flatMap((i) => [`transformer_blocks.${i}.mha`, `transformer_blocks.${i}.mlp`]),
  ...linears,
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
          packed: false,
          original: true,
        },
      ],
    ),
  ),
  nodes: new Map(wrappable.map((path) => [path, undefined])),
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

/** A path below another. */
export const below = (path: string, name: string): string => [path, name].filter((p) => p !== '').join('.')

/** What only a pattern names that names the node itself, or something above it. */
const inNode = (path: string): string => below(path, 'own')

/** Whether a pattern names a node, and not only something in it. */
export const namesNode = (at: string | undefined, path: string): boolean => named(at)(inNode(path))

/** The paths of nodes that methods wrap, under a pattern. */
export const nodesAt = ({ nodes }: World, at: string | undefined): readonly string[] =>
  [...nodes.keys()].filter((path) => namesNode(at, path))

export const specsAt = ({ parameters }: World, at: string | undefined): readonly Spec[] =>
  [...parameters].filter(([path]) => named(at)(path)).map(([, spec]) => spec)

/** The world with some parameters and some nodes changed, whatever names them. */
export const rewritten = (
  { parameters, nodes }: World,
  parameter: (s: Spec, path: string) => Spec,
  node: (a: Attached | undefined, path: string) => Attached | undefined = (a) => a,
): World => ({
  parameters: new Map([...parameters].map(([path, s]) => [path, parameter(s, path)])),
  nodes: new Map([...nodes].map(([path, a]) => [path, node(a, path)])),
})

/** The world with what a pattern names changed. */
export const changed = (
  world: World,
  at: string | undefined,
  parameter: (s: Spec) => Spec,
  node: (a: Attached | undefined) => Attached | undefined = (a) => a,
): World =>
  rewritten(
    world,
    (s, path) => (named(at)(path) ? parameter(s) : s),
    (a, path) => (namesNode(at, path) ? node(a) : a),
  )

export const bare = ({ form, shape, status, packed, original }: Spec): Spec => ({
  form,
  shape,
  status,
  packed,
  original,
})

const size = (shape: readonly number[]): number => shape.reduce((n, x) => n * x, 1)

/** How many parameters there are, and how many of them are trained. */
export const counted = ({ parameters, nodes }: World) => {
  const attached = [...[...parameters.values()].map((s) => s.adapter), ...nodes.values()]
  const all: readonly Own[] = [
    ...[...parameters.values()].map((s) => ({ parameters: size(s.shape), status: s.status })),
    ...attached.flatMap((a) => Object.values(a?.own ?? {})),
  ]
  const sum = (status: Status) => all.reduce((n, a) => n + (a.status === status ? a.parameters : 0), 0)
  return { parameters: sum('trainable') + sum('frozen'), trainable: sum('trainable'), frozen: sum('frozen') }
}
