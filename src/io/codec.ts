import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import { didYouMean } from '../tree/nearest.ts'

/** A plain object: neither `null` nor a list. */
export const isRecord = (u: unknown): u is Readonly<Record<string, unknown>> =>
  typeof u === 'object' && u !== null && !Array.isArray(u)

/** An object whose keys may be anything, `__proto__` included: `t.record` would set a prototype by that one. */
export const dictionary = <A>(
  codomain: t.Type<A, unknown>,
  name: string,
): t.Type<Readonly<Record<string, A>>, unknown> =>
  new t.Type<Readonly<Record<string, A>>, unknown>(
    name,
    (u): u is Readonly<Record<string, A>> => isRecord(u) && Object.values(u).every(codomain.is),
    (u, context) => {
      if (!isRecord(u)) return t.failure(u, context)
      const results = Object.entries(u).map(
        ([key, value]) => [key, codomain.validate(value, t.appendContext(context, key, codomain, value))] as const,
      )
      const errors = results.flatMap(([, result]) => (E.isLeft(result) ? result.left : []))
      return errors.length > 0
        ? t.failures(errors)
        : t.success(Object.fromEntries(results.flatMap(([key, r]) => (E.isRight(r) ? [[key, r.right]] : []))))
    },
    (a) => a,
  )

const Absent: t.Type<never> = new t.Type<never>('no field of this name', t.never.is, t.never.validate, t.never.encode)

/** An object with these fields and no others: what we do not know is refused, never dropped. */
export const exactly = <P extends t.Props>(props: P, name: string): t.Type<t.TypeOfProps<P>, unknown> => {
  const fields = t.type(props, name)
  return new t.Type<t.TypeOfProps<P>, unknown>(
    name,
    (u): u is t.TypeOfProps<P> => fields.is(u) && Object.keys(u).every((key) => Object.hasOwn(props, key)),
    (u, context) => {
      const result = fields.validate(u, context)
      if (!isRecord(u)) return result
      const unknown = Object.entries(u).filter(([key]) => !Object.hasOwn(props, key))
      const errors = unknown.map(([key, value]) => ({
        value,
        context: t.appendContext(context, key, Absent, value),
        message: `This field is not known here. ${didYouMean(key, Object.keys(props))}`,
      }))
      return errors.length === 0 ? result : t.failures([...errors, ...(E.isLeft(result) ? result.left : [])])
    },
    (a) => a,
  )
}

/** A number that can be a length or a count. */
export const Whole: t.Type<number, unknown> = t.refinement(
  t.number,
  (n) => Number.isSafeInteger(n) && n >= 0,
  'a whole number >= 0',
) as t.Type<number, unknown>

/** Several numbers, as the length of each axis. */
export const Shape: t.Type<readonly number[], unknown> = t.readonlyArray(Whole, 'a list of lengths') as t.Type<
  readonly number[],
  unknown
>

/** The digest that says that nothing was changed. */
export const Sha256: t.Type<string, unknown> = t.refinement(
  t.string,
  (s) => /^[0-9a-f]{64}$/.test(s),
  'a SHA-256 digest of 64 hexadecimal digits',
) as t.Type<string, unknown>
