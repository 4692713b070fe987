import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { messageOf } from '../../src/cli/errors.ts'
import { convert } from '../../src/cli/convert.ts'
import { inspect } from '../../src/cli/inspect.ts'
import { fixture } from '../io/fixtures.ts'

let folder = ''
beforeAll(async () => {
  vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  folder = await mkdtemp(join(tmpdir(), 'espalier-cli-'))
})

const recipe = async (name: string, content: string): Promise<string> => {
  const path = join(folder, name)
  await writeFile(path, content)
  return path
}

const failure = async (args: readonly string[]): Promise<string> =>
  inspect(args, false).then(
    () => 'no failure',
    (e: unknown) => messageOf(e),
  )

describe('inspect', () => {
  test('counts the seed configuration', async () => {
    const { parameters, trainable, frozen } = JSON.parse(await inspect(['--json'], false))
    expect({ parameters, trainable, frozen }).toEqual({ parameters: 13_698_976, trainable: 13_698_976, frozen: 0 })
  })

  test('counts it after the recipe of the chapter', async () => {
    const file = await recipe(
      'lora.json',
      '[{"freeze":{}},{"lora":{"at":["**.ln_1","**.c_proj"],"rank":16,"alpha":30}}]',
    )
    const counts = JSON.parse(await inspect(['--model', 'sllm', '--recipe', file, '--json'], false))
    expect(counts).toMatchObject({ parameters: 13_715_360, trainable: 16_384, frozen: 13_698_976 })
  })

  test('counts it after a soft prompt of 14 rows', async () => {
    const file = await recipe('prompt.json', '[{"freeze":{}},{"prompt":{"length":14}}]')
    expect(JSON.parse(await inspect(['--recipe', file, '--json'], false)).trainable).toBe(1_792)
  })

  test.each([
    ['prefix', '{"prefix":{"length":10}}', 10 * 2 * 2 * 2 * 128],
    ['projected', '{"prefix":{"length":10,"projection":64}}', 10 * 128 + (128 * 64 + 64) + (64 * 1024 + 1024)],
    ['mlp', '{"ptuning":{"length":20,"hidden":64}}', 20 * 128 + (128 * 64 + 64) + (64 * 64 + 64) + (64 * 128 + 128)],
    [
      'lstm',
      '{"ptuning":{"length":20,"encoder":"lstm","hidden":32,"layers":2}}',
      20 * 128 +
        2 * (4 * 32 * (128 + 32) + 8 * 32) +
        2 * (4 * 32 * (64 + 32) + 8 * 32) +
        (64 * 64 + 64) +
        (64 * 128 + 128),
    ],
    ['baked', '{"ptuning":{"length":20,"hidden":64}},{"bake":{}}', 20 * 128],
  ])('counts it after prompts with a method of their own: %s', async (name, step, trainable) => {
    const file = await recipe(`${name}.json`, `[{"freeze":{}},${step}]`)
    expect(JSON.parse(await inspect(['--recipe', file, '--json'], false)).trainable).toBe(trainable)
  })

  test('counts what a weight in few bits stands for, and reports the bytes that it takes', async () => {
    const told = async (text: string) =>
      JSON.parse(await inspect(['--recipe', await recipe('q.json', text), '--json'], false))
    const dense = await told('[{"freeze":{}}]')
    const small = await told('[{"freeze":{}},{"quantize":{"at":"**"}}]')
    expect(dense.bytesAtRest).toBe(4 * 13_698_976)
    expect(small).toMatchObject({ parameters: 13_698_976, trainable: 0 })
    // The head; and in each of two blocks four matrices of attention and two of the MLP. NF4 saves 3.4375 of 4 bytes.
    const matrices = 52_000 * 128 + 2 * (4 * 128 * 256 + 2 * 128 * 128)
    expect(dense.bytesAtRest - small.bytesAtRest).toBe(matrices * (4 - 0.5625))
  })

  test.each([
    ['ptuning-gpt2', /encoder/],
    ['prefix-projection-gpt2', /projection/],
  ])('says what the file of an adapter has lost, whichever form it is in: %s', async (name, lost) => {
    const model = fixture('models/gpt2')
    const ours = join(folder, name)
    await convert(['--model', model, '--adapter', fixture(`peft/${name}`), '--to', 'espalier', '--output', ours])
    for (const adapter of [fixture(`peft/${name}`), ours]) {
      const said = JSON.parse(await inspect(['--model', model, '--adapter', adapter, '--json'], false)) as object
      expect(said).toMatchObject({ lost: expect.stringMatching(lost) })
    }
  })

  test('draws the tree without --json', async () => {
    const text = await inspect([], false)
    expect(text).toContain('token_embdgs')
    expect(text).toContain('52000×128 float32')
  })

  test.each([
    ['no such file', ['--recipe', '/nowhere/r.json'], /no such file/],
    ['no such model', ['--model', 'gpt5'], /BadUsage at --model/],
    ['no such flag', ['--modle', 'sllm'], /--modle/],
  ])('says what is wrong: %s', async (_, args, message) => {
    expect(await failure(args)).toMatch(message)
  })

  test.each([
    ['not JSON', '[{', /as JSON/],
    ['not a list', '{}', /a list of steps/],
    ['an unknown method', '[{"lorra":{}}]', /Did you mean "lora"/],
    ['an unknown option', '[{"lora":{"at":"**","rnak":2}}]', /\[0\]\.lora\.rnak/],
    ['a bad rank', '[{"lora":{"at":"**","rank":-2}}]', /a positive whole number/],
    ['a pattern that hits nothing', '[{"lora":{"at":"**.c_porj","rank":2}}]', /Did you mean "\*\*\.c_proj"\?/],
    ['a method of the prototype', '[{"constructor":{}}]', /a method/],
  ])('says what is wrong with a recipe: %s', async (name, content, message) => {
    const text = await failure(['--recipe', await recipe(`${name}.json`, content)])
    expect(text).toMatch(message)
    expect(text).not.toMatch(/\n\s+at /)
  })
})
