import { orThrow, saveAdapter, saveMlx, savePeft } from '../io/index.ts'
import { notesOf } from '../io/hub/notes.ts'
import { didYouMean } from '../tree/nearest.ts'
import { startEngine, tellEngine } from './engine.ts'
import { requireUnused, usage } from './errors.ts'
import { readFlags, required } from './flags.ts'
import { openAdapted } from './open.ts'
import type { Opened } from './open.ts'

export const convertHelp = `espalier convert --model DIR --adapter DIR --to espalier|peft|mlx --output DIR
  Writes an adapter in another format; which one it has is seen from its files: Espalier's, PEFT's, MLX's or AdapterHub's.`

type Write = (opened: Opened, output: string) => Promise<void>

const pretrainedOf = ({ pretrained }: Opened): NonNullable<Opened['pretrained']> => {
  if (pretrained !== undefined) return pretrained
  throw usage(
    '--model',
    'a folder with config.json and model.safetensors',
    'another',
    'Only such models have names in PEFT and MLX.',
  )
}

const formats: Readonly<Record<string, Write>> = {
  // What PEFT said of it travels along, so that nothing of that is lost on the way back.
  espalier: ({ model, pretrained }, output) =>
    orThrow(saveAdapter(model, output, pretrained === undefined ? {} : { notes: notesOf(pretrained) })),
  peft: (opened, output) => orThrow(savePeft(pretrainedOf(opened), output)),
  mlx: (opened, output) => orThrow(saveMlx(pretrainedOf(opened), output)),
}

/** The `convert` command: what it prints. */
export const convert = async (args: readonly string[]): Promise<string> => {
  const values = readFlags('convert', args, {
    model: { type: 'string' },
    adapter: { type: 'string' },
    to: { type: 'string' },
    output: { type: 'string' },
  })
  const model = required('convert', 'model', values.model)
  const adapter = required('convert', 'adapter', values.adapter)
  const to = required('convert', 'to', values.to)
  const output = required('convert', 'output', values.output)
  const write = Object.hasOwn(formats, to) ? formats[to] : undefined
  if (write === undefined)
    throw usage('--to', Object.keys(formats).join(' or '), `"${to}"`, didYouMean(to, Object.keys(formats)))
  await requireUnused(output, ['adapter.json', 'adapter_config.json'])
  const engine = await startEngine()
  const opened = await openAdapted(model, adapter)
  tellEngine(engine)
  await write(opened, output)
  return `written to ${output}`
}
