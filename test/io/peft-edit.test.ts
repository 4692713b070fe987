import { expect, test } from 'vitest'
import { EspalierError } from '../../src/index.ts'
import { edited } from '../../src/io/peft/edit.ts'
import { tinySllm } from '../support.ts'

const base = tinySllm()

test('an edit of a path that the model has not is refused, so that no part of an adapter is left out in silence', () => {
  const edits = new Map([
    ['out_head.weight', () => 'changed'],
    ['out_heed.weight', () => 'lost'],
  ])
  const said = (() => {
    try {
      return edited(base, edits)
    } catch (error) {
      return error instanceof EspalierError ? error.issues : error
    }
  })()
  expect(said).toMatchObject([{ _tag: 'NoMatch', path: 'out_heed.weight' }])
  edits.delete('out_heed.weight')
  expect(edited(base, edits)).toMatchObject({ out_head: { weight: 'changed' } })
})
