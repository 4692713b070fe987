/*
 * Patterns at the type level: the same small automaton that `tree/glob.ts` runs, on unions of what remains of each pattern.
 * `''` means "met here"; `never` means "cannot be met below".
 */

/** What remains of patterns `P` after the key `K` of a record. */
export type Step<P extends string, K extends string> = P extends `**.${infer R}`
  ? P | Step<R, K>
  : P extends '**'
    ? '**'
    : P extends `{${infer A}}.${infer R}`
      ? K extends Alternative<A>
        ? R
        : never
      : P extends `{${infer A}}`
        ? K extends Alternative<A>
          ? ''
          : never
        : P extends `${infer H}.${infer R}`
          ? H extends '*' | K
            ? R
            : never
          : P extends '*' | K
            ? ''
            : never

type Alternative<A extends string> = A extends `${infer X},${infer Y}` ? Trim<X> | Alternative<Y> : Trim<A>
type Trim<S extends string> = S extends ` ${infer R}` ? Trim<R> : S extends `${infer R} ` ? Trim<R> : S

/** What remains after any element of an array, for the patterns that surely match each one. */
export type StepEvery<P extends string> = P extends `**.${infer R}`
  ? P | StepEvery<R>
  : P extends '**'
    ? '**'
    : P extends `*.${infer R}`
      ? R
      : P extends '*'
        ? ''
        : never

/** What remains after some element of an array, for the patterns that name indices: the type cannot tell which element. */
export type StepSome<P extends string> = P extends `**.${infer R}`
  ? StepSome<R>
  : P extends `{${string}}.${infer R}` | `${number}.${infer R}`
    ? R
    : P extends `{${string}}` | `${number}`
      ? ''
      : never

/** What remains after an element of a tuple, for the patterns that give a range of indices. */
export type StepRange<P extends string> = P extends `**.${infer R}`
  ? StepRange<R>
  : P extends `{${infer A}}.${infer R}`
    ? A extends `${number}..${number}`
      ? R
      : never
    : P extends `{${number}..${number}}`
      ? ''
      : never

/** Whether one of the patterns is met here. */
export type Met<P extends string> = '' extends P ? true : '**' extends P ? true : false
