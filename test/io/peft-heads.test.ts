import { mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { bert, freeze, key, lora, pipe, unfreeze } from '../../src/index.ts'
import type { Issue } from '../../src/index.ts'
import { loadPeft, loadPretrained, orThrow, savePeft } from '../../src/io/index.ts'
import type { Io } from '../../src/io/index.ts'
import { fixture } from './fixtures.ts'

const issuesOf = async (task: Io<unknown>): Promise<readonly Issue[]> => {
  const result = await task()
  return result._tag === 'Left' ? result.left : []
}

const folder = (): Promise<string> => mkdtemp(join(tmpdir(), 'espalier-heads-'))

const classifier = async (labels: number | readonly string[]) =>
  orThrow(
    loadPretrained(fixture('models/bert'), { as: bert, task: 'sequence-classification', labels, key: key(1) } as const),
  )

test('a head that was drawn is not left behind', async () => {
  const base = await classifier(['bad', 'good'])
  const tuned = pipe(base.model, freeze, lora({ at: '**.query', rank: 2 }))
  const lost = await issuesOf(savePeft({ ...base, model: tuned }, await folder()))
  expect(lost.map(({ _tag, path }) => [_tag, path])).toEqual([
    ['UnsavedHead', 'classifier.weight'],
    ['UnsavedHead', 'classifier.bias'],
  ])
  const out = await folder()
  const trained = unfreeze.only({ at: 'classifier' })(tuned)
  await orThrow(savePeft({ ...base, model: trained }, out))
  const config = JSON.parse(await readFile(join(out, 'adapter_config.json'), 'utf8')) as Record<string, unknown>
  expect(config['modules_to_save']).toEqual(['classifier'])
  expect(config['base_model_name_or_path']).toBe(fixture('models/bert'))
  expect(base.config['id2label']).toEqual({ 0: 'bad', 1: 'good' })
})

test('a base without the head is told how to get one', async () => {
  const base = await classifier(2)
  const trained = pipe(base.model, freeze, lora({ at: '**.query', rank: 2 }), unfreeze.only({ at: 'classifier' }))
  const out = await folder()
  await orThrow(savePeft({ ...base, model: trained }, out))
  const headless = await orThrow(loadPretrained(fixture('models/bert')))
  const issues = await issuesOf(loadPeft(out, headless))
  expect(issues.length).toBeGreaterThan(0)
  for (const { hint } of issues) expect(hint).toContain("task: 'sequence-classification'")
})

test('what is trained as a whole is no adapter', async () => {
  const base = await orThrow(loadPretrained(fixture('models/gpt2')))
  expect((await issuesOf(savePeft(base, await folder()))).map(({ _tag }) => _tag)).toEqual(['NothingFrozen'])
})
