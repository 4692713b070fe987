import { parseArgs } from 'node:util'
import type { ParseArgsConfig } from 'node:util'
import { didYouMean } from '../tree/nearest.ts'
import { usage } from './errors.ts'

type Options = NonNullable<ParseArgsConfig['options']>
type Values<O extends Options> = ReturnType<
  typeof parseArgs<{ readonly args: string[]; readonly options: O }>
>['values']

/** The flags of a command; a mistake names the flag, and the nearest one that there is. */
export const readFlags = <const O extends Options>(command: string, args: readonly string[], options: O): Values<O> => {
  const see = `See \`espalier ${command} --help\`.`
  try {
    return parseArgs({ args: [...args], options }).values
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const flag = /'(--?[^\s'=]+)/.exec(message)?.[1] ?? ''
    const names = Object.keys(options).map((name) => `--${name}`)
    if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION')
      throw usage(flag, `a flag of ${command}`, 'none', `${didYouMean(flag, names)} ${see}`.trim())
    if (code === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL')
      throw usage('', 'flags only', message.split('.')[0] ?? message, see)
    if (code === 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE') throw usage(flag, 'another use of it', message, see)
    throw error
  }
}

/** A flag that must be given, and not as nothing. */
export const required = (command: string, flag: string, value: string | undefined): string => {
  if (value !== undefined && value !== '') return value
  throw usage(
    `--${flag}`,
    'a value',
    value === undefined ? 'nothing' : 'an empty one',
    `See \`espalier ${command} --help\`.`,
  )
}

/** A number that a flag gives, if it is given. */
export const numberOf = (
  flag: string,
  text: string | undefined,
  expected: string,
  fits: (n: number) => boolean,
): number | undefined => {
  if (text === undefined) return undefined
  const n = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text) ? Number(text) : Number.NaN
  if (Number.isFinite(n) && fits(n)) return n
  throw usage(`--${flag}`, expected, `"${text}"`, '')
}
