import { reject } from '../issues.ts'

const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
const months = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
]

const padded = (n: number, width = 2, fill = '0'): string => String(n).padStart(width, fill)

const parts: Readonly<Record<string, (date: Date) => string>> = {
  '%': () => '%',
  a: (date) => days[date.getUTCDay()]!.slice(0, 3),
  A: (date) => days[date.getUTCDay()]!,
  b: (date) => months[date.getUTCMonth()]!.slice(0, 3),
  B: (date) => months[date.getUTCMonth()]!,
  d: (date) => padded(date.getUTCDate()),
  e: (date) => padded(date.getUTCDate(), 2, ' '),
  H: (date) => padded(date.getUTCHours()),
  I: (date) => padded(date.getUTCHours() % 12 || 12),
  j: (date) => padded(Math.floor((+date - Date.UTC(date.getUTCFullYear())) / 86_400_000) + 1, 3),
  m: (date) => padded(date.getUTCMonth() + 1),
  M: (date) => padded(date.getUTCMinutes()),
  p: (date) => (date.getUTCHours() < 12 ? 'AM' : 'PM'),
  S: (date) => padded(date.getUTCSeconds()),
  y: (date) => padded(date.getUTCFullYear() % 100),
  Y: (date) => String(date.getUTCFullYear()),
}

/** A date in UTC and English by Python's format codes; `%-d` is `%d` without the zero. Throws `BadTemplate` for others. */
export const strftime = (date: Date, format: string): string => {
  if (Number.isNaN(+date)) reject('BadDate', 'date', 'a date', 'Invalid Date', 'Give a date that exists.')
  return format.replace(/%(-?)(.?)/gs, (code, bare: string, letter: string) => {
    const write = Object.hasOwn(parts, letter) ? parts[letter] : undefined
    const text =
      write?.(date) ??
      reject(
        'BadTemplate',
        'strftime_now',
        `one of %${Object.keys(parts).join(' %')}`,
        code,
        'The template asks for it.',
      )
    return bare === '' ? text : text.replace(/^[0 ]+(?=.)/, '')
  })
}
