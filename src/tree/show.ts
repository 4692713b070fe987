import { count } from './count.ts'
import { ties } from './labels.ts'
import { isConstant, isHole, isParam } from './leaf.ts'
import { BASE, childrenOf, isBranch } from './walk.ts'

/** How `show` writes. */
export interface ShowOptions {
  /** Colours for a terminal. */
  readonly color?: boolean
  /** Every element of an array in full, instead of one line for runs of equal ones. */
  readonly full?: boolean
}

const paint = (on: boolean) => {
  const code =
    (n: number) =>
    (s: string): string =>
      on && s !== '' ? `\u001b[${n}m${s}\u001b[0m` : s
  return { kind: code(36), trainable: code(32), frozen: code(34), dim: code(2), bold: code(1), tie: code(35) }
}

const number = (n: number): string => n.toLocaleString('en-US')

interface Row {
  readonly name: string
  readonly kind: string
  readonly shape: string
  readonly status: string
  readonly size: string
  readonly tie: string
  readonly children: readonly Row[]
}

/**
 * A model as a readable tree: kind, name, shape, dtype, trainable or frozen, counts and ties.
 *
 * @example
 * ```ts
 * import { show, freeze, sllm, key } from 'espalier'
 * const base = sllm.init({ ...sllm.config.seed, vocab_size: 100 }, key(0))
 * show(freeze(base)).split('\n')[0]?.startsWith('Sllm') // => true
 * ```
 */
export const show = (tree: unknown, { color = false, full = false }: ShowOptions = {}): string => {
  const c = paint(color)
  const tied = new Map(Object.entries(ties(tree)))
  const row = (name: string, node: unknown): Row => {
    const blank = { name, kind: '', shape: '', status: '', size: '', tie: '' }
    if (isHole(node)) return { ...blank, kind: '·', children: [] }
    if (isParam(node) || isConstant(node)) {
      const { shape, dtype, size } = node.value
      const status = isParam(node) ? node.status : 'constant'
      const others = tied.get(node.label)
      return {
        ...blank,
        shape: `${shape.join('×') || 'scalar'} ${dtype}`,
        status,
        size: number(size),
        tie: others ? `⟷ ${node.label}` : '',
        children: [],
      }
    }
    if (!isBranch(node)) return { ...blank, children: [] }
    const { trainable, parameters } = count(node)
    const size = `${number(parameters)}${trainable > 0 && trainable < parameters ? ` (${number(trainable)} trainable)` : ''}`
    const status = parameters === 0 ? '' : trainable === 0 ? 'frozen' : trainable === parameters ? 'trainable' : 'mixed'
    const tag = (node as { _tag?: unknown })._tag
    const kind = typeof tag === 'string' ? tag : Array.isArray(node) ? `[${node.length}]` : '{}'
    const children = childrenOf(node).map(([k, child]) => row(k === BASE ? '(base)' : k, child))
    return { ...blank, kind: kind + statics(node), status, size, children: full ? children : folded(node, children) }
  }
  const statusPaint = (s: string): string =>
    s === 'trainable' ? c.trainable(s) : s === 'frozen' ? c.frozen(s) : c.dim(s)
  const lines = (r: Row, indent: string, branch: string): readonly (readonly [string, Row])[] => [
    [indent + branch, r],
    ...r.children.flatMap((child, i) => {
      const deeper = branch === '' ? indent : indent + (branch === '├─ ' ? '│  ' : '   ')
      return lines(child, deeper, i === r.children.length - 1 ? '└─ ' : '├─ ')
    }),
  ]
  const all = lines(row('', tree), '', '')
  const left = (prefix: string, r: Row): string => `${prefix}${[r.name, r.kind].filter(Boolean).join('  ')}`
  const width = Math.max(...all.map(([p, r]) => left(p, r).length))
  const shapes = Math.max(...all.map(([, r]) => r.shape.length))
  return all
    .map(([prefix, r]) => {
      const pad = ' '.repeat(width - left(prefix, r).length + 2)
      const name = [r.name && (r.children.length === 0 ? r.name : c.bold(r.name)), c.kind(r.kind)]
        .filter(Boolean)
        .join('  ')
      const status = statusPaint(r.status) + ' '.repeat(9 - r.status.length)
      return `${c.dim(prefix)}${name}${pad}${r.shape.padEnd(shapes)}  ${status}  ${r.size}  ${c.tie(r.tie)}`.trimEnd()
    })
    .join('\n')
}

/** The plain data of a node that a reader wants to see beside its kind: alpha, heads, dropout. */
export const statics = (node: object): string => {
  const shown = Object.entries(node).filter(
    ([k, v]) => k !== '_tag' && !k.startsWith('~') && ['number', 'string', 'boolean'].includes(typeof v),
  )
  return shown.length === 0 ? '' : ` ${shown.map(([k, v]) => `${k}=${v}`).join(' ')}`
}

/** Runs of equal elements of an array as one row, named by their range. */
const folded = (node: object, children: readonly Row[]): readonly Row[] => {
  if (!Array.isArray(node)) return children
  const text = (r: Row): string => JSON.stringify({ ...r, name: '' })
  const runs: { first: Row; last: Row; text: string; count: number }[] = []
  for (const child of children) {
    const previous = runs.at(-1)
    const t = text(child)
    if (previous?.text === t) {
      previous.last = child
      previous.count++
    } else runs.push({ first: child, last: child, text: t, count: 1 })
  }
  return runs.map(({ first, last, count: n }) =>
    n === 1 ? first : { ...first, name: `{${first.name}..${last.name}}`, size: `${first.size} each` },
  )
}
