import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { expect, test } from 'vitest'

const read = (file: string): string => readFileSync(fileURLToPath(new URL(`../../${file}`, import.meta.url)), 'utf8')
const { exports } = JSON.parse(read('package.json')) as { exports: Record<string, string> }
const sources = Object.entries(exports)
  .filter(([, file]) => file.endsWith('.js'))
  .map(([name, file]) => [`espalier${name.slice(1)}`, file.replace('./dist/', './src/').replace(/js$/, 'ts')] as const)

test('the compiler resolves our own name to the source of each export', () => {
  const { config } = ts.readConfigFile('tsconfig.json', () => read('tsconfig.json')) as {
    config: { compilerOptions: { paths: Record<string, string[]> } }
  }
  expect(config.compilerOptions.paths).toEqual(Object.fromEntries(sources.map(([name, file]) => [name, [file]])))
})

test('the API reference covers each export', () => {
  const { entryPoints } = JSON.parse(read('typedoc.json')) as { entryPoints: string[] }
  expect(entryPoints.map((file) => `./${file}`).toSorted()).toEqual(sources.map(([, file]) => file).toSorted())
})
