import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, expect, test, vi } from 'vitest'
import { freeze, gpt2, lora, pipe } from '../../src/index.ts'
import { loadPretrained, orThrow, savePeft } from '../../src/io/index.ts'
import { fixture } from '../io/fixtures.ts'
import { filesIn, fresh, inputOf, outcomeOf } from './hostile.ts'

vi.spyOn(process.stderr, 'write').mockReturnValue(true)

const page = readFileSync(fileURLToPath(new URL('../../docs/cli.md', import.meta.url)), 'utf8')
const fences = (language: string): readonly string[] =>
  [...page.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, code = '']) => code)
const commands = fences('sh').flatMap((code) => code.trim().split('\n'))

const model = fixture('models/gpt2-text')
const home = fresh()
beforeAll(async () => {
  const base = await orThrow(loadPretrained(model, { as: gpt2 }))
  const tuned = pipe(base.model, freeze, lora({ at: '**.c_attn', rank: 2, scaling: 'alpha/rank' }))
  await orThrow(savePeft({ ...base, model: tuned }, join(home, 'adapter')))
  writeFileSync(
    join(home, 'in.safetensors'),
    readFileSync(
      inputOf({
        input_ids: [
          [1, 3],
          [5, 7, 9],
        ],
      }),
    ),
  )
  const job = fences('json').find((code) => code.includes('"recipe"')) ?? ''
  writeFileSync(join(home, 'job.json'), job.replaceAll('path/to/gpt2', model))
  const lines = ['praise', 'complaint'].map((label) => JSON.stringify({ text: `a ${label}`, label }))
  for (const name of ['train', 'heldout']) writeFileSync(join(home, `${name}.jsonl`), lines.join('\n'))
  mkdirSync(join(home, 'empty'))
})

/** What a line of the page says, with what it names in the folder of this test. */
const argsOf = (line: string): readonly string[] =>
  [...line.matchAll(/"([^"]*)"|(\S+)/g)]
    .map(([, quoted, bare]) => quoted ?? bare ?? '')
    .slice(1)
    .map((word, i, words) => {
      const flag = words[i - 1] ?? ''
      if (word === 'DIR') return flag === '--adapter' ? join(home, 'adapter') : model
      return ['--input', '--output', '--config'].includes(flag) ? join(home, word) : word
    })

const printed = async (line: string): Promise<string> => {
  const { code, said } = await outcomeOf(argsOf(line))
  expect({ code, said }).toMatchObject({ code: 0 })
  return said
}

test.each(commands.filter((line) => line.startsWith('espalier ')))('%s', { timeout: 60_000 }, async (line) => {
  await printed(line)
})

test('the JSON that is printed has the fields of the page', async () => {
  const fieldsOf = (json: object): readonly string[] => Object.keys(json)
  const [inspected = '', generated = ''] = fences('json')
  const own = JSON.parse(await printed(commands[0] ?? '')) as object
  expect(fieldsOf(own)).toEqual(fieldsOf(JSON.parse(inspected.replace('…', '')) as object))
  const line = commands.find((c) => c.startsWith('espalier generate') && c.includes('--json')) ?? ''
  const { texts } = JSON.parse(await printed(line)) as { readonly texts: readonly object[] }
  expect(fieldsOf(texts[0] ?? {})).toEqual(fieldsOf((JSON.parse(generated) as { texts: object[] }).texts[0] ?? {}))
})

test('the outputs are where the page says', () => {
  expect(filesIn(home)).toEqual(
    expect.arrayContaining([
      'out.safetensors',
      join('run-1', 'adapter', 'adapter_config.json'),
      join('run-1', 'loss.svg'),
      join('merged', 'tokenizer.json'),
      join('for-peft', 'adapter_model.safetensors'),
    ]),
  )
})
