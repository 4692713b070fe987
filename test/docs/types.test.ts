import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { typeErrors } from '../../scripts/extract-doctests.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))

test('every fence of the documentation type-checks', () => {
  const compiler = fileURLToPath(new URL('../../node_modules/typescript/bin/tsc', import.meta.url))
  const { stdout } = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.doctest.json', '--pretty', 'false'], {
    cwd: root,
    encoding: 'utf8',
  })
  expect(typeErrors(stdout, (file) => readFileSync(`${root}/.doctest/${file}`, 'utf8'))).toEqual([])
})
