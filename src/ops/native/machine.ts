import type { Attrs, OwnNode } from '../op.ts'

/** A value of a program: an input `i0`, a constant `c0.5`, or what an instruction gave. */
export type Value = string

/** Writes one instruction of the register machine (`kernels/program.h`), and names its result. */
export type Emit = (op: string, ...operands: readonly Value[]) => Value

/** How an op on single elements is written as instructions. */
export type Program<A extends Attrs> = (emit: Emit, inputs: readonly Value[], attrs: A) => Value

export const constant = (value: number): Value => `c${Object.is(value, -0) ? '-0' : value}`

/** Writes instructions to the end of a list. */
export const emitter =
  (lines: string[]): Emit =>
  (op, ...operands) => {
    const result = `r${lines.length}`
    lines.push([result, op, ...operands].join(' '))
    return result
  }

/** The text of a program whose instructions gave these results. */
export const programText = (lines: readonly string[], results: readonly Value[]): string =>
  [...lines, ...results.map((value, i) => `o${i} = ${value}`)].join('; ')

/** An op on single elements as a program of its own. */
export const programmed = <A extends Attrs>(program: Program<A>): OwnNode<A> => ({
  write: (to, inputs, attrs, output) => {
    const lines: string[] = []
    const names = inputs.map((_, i) => `i${i}`)
    const text = programText(lines, [program(emitter(lines), names, attrs)])
    return to.node('EspalierElementwise', inputs, { N: inputs.length, outputs: 1, program: text }, output)
  },
})
