import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { release } from 'espalier/ops'
import type { Prepared, Setting } from './job.ts'
import { prepare, run } from './job.ts'
import { methods } from './methods.ts'

const columns = ['method', 'trainable', 'adapter bytes', 'base bytes', 'accuracy', 'time'] as const
const widths = [12, 12, 14, 12, 10, 9]
const line = (cells: readonly string[]): string =>
  cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join(' ')
const number = (n: number): string => n.toLocaleString('en-US')

/** Trains each method on the same base, data and keys, and prints what it cost and what it brought. */
export const compare = async (base: Prepared['base'], setting: Setting, engine: string): Promise<boolean> => {
  console.log(`\n${line(columns)}\n${widths.map((w) => '─'.repeat(w)).join(' ')}`)
  const rows: object[] = []
  let good = true
  for (const [name, method] of Object.entries(methods)) {
    const prepared = prepare(method, base)
    const out = join(setting.out, name)
    const { fitted, ...row } = await run(method, prepared, { ...setting, out })
    const { trainable, adapterBytes, baseBytes, accuracy, seconds, reloaded, untouched } = row
    const cells = [trainable, adapterBytes, baseBytes].map(number)
    console.log(line([name, ...cells, `${(100 * accuracy).toFixed(1)} %`, `${seconds.toFixed(1)} s`]))
    rows.push({ method: name, ...row })
    good &&= accuracy > 0.55 && reloaded === 0 && untouched
    release([fitted, prepared], { keep: base })
  }
  const file = join(setting.out, `compare-${engine}.json`)
  await writeFile(file, `${JSON.stringify(rows, null, 2)}\n`)
  console.log(
    `\n${good ? 'every method above chance, reloaded to the bit, the base untouched' : 'NOT AS IT SHOULD BE: see the file'}\n${file}`,
  )
  return good
}
