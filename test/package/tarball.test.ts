import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import ts from 'typescript'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { measureIn } from '../../scripts/type-budget.mjs'

const budget = JSON.parse(readFileSync(new URL('budget.json', import.meta.url), 'utf8')) as Readonly<
  Record<string, { readonly instantiations: number; readonly milliseconds: number }>
>

interface Manifest {
  readonly name: string
  readonly bin: Record<string, string>
  readonly exports: Record<string, string>
  readonly peerDependencies: Record<string, string>
  readonly devDependencies: Record<string, string>
}

const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/[/\\]$/, '')
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest
const entries = Object.entries(manifest.exports)
  .filter(([, file]) => file.endsWith('.js'))
  .map(([name]) => `${manifest.name}${name.slice(1)}`)

/** A user's project, outside this repository. */
const consumer = mkdtempSync(join(tmpdir(), 'espalier-consumer-'))
const installed = join(consumer, 'node_modules', manifest.name)
afterAll(() => rmSync(consumer, { recursive: true, force: true }))

/** Runs a program and returns what it printed; a failure throws with all that it printed. */
const run = (program: string, args: readonly string[], cwd: string): string => {
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd,
    encoding: 'utf8',
    shell: process.platform === 'win32',
  })
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}\n${stdout}\n${stderr}`)
  return stdout
}

const filesOf = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))

/** The peers that npm can install here, in the very versions this repository is tested with, so that its cache has them. */
const peers = Object.fromEntries(
  Object.keys(manifest.peerDependencies).flatMap((name) => {
    const version = manifest.devDependencies[name]
    return version === undefined ? [] : [[name, version]]
  }),
)

beforeAll(() => {
  run('npm', ['run', '--silent', 'build'], root)
  const packed = run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', consumer], root)
  const [{ filename }] = JSON.parse(packed) as [{ filename: string }]
  const dependencies = { ...peers, [manifest.name]: `file:${filename}` }
  const devDependencies = { '@types/node': manifest.devDependencies['@types/node'] }
  const project = { name: 'consumer', private: true, type: 'module', dependencies, devDependencies }
  writeFileSync(join(consumer, 'package.json'), JSON.stringify(project))
  cpSync(join(root, 'test/package/consumer'), join(consumer, 'src'), { recursive: true })
  const everyEntry = entries.map((entry, k) => `export * as entry${k} from '${entry}'\n`).join('')
  writeFileSync(join(consumer, 'src/entries.ts'), everyEntry)
  const compilerOptions = {
    strict: true,
    target: 'es2022',
    lib: ['es2023'],
    module: 'nodenext',
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    types: ['node'],
    rootDir: 'src',
    outDir: 'out',
    declaration: true,
  }
  writeFileSync(join(consumer, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['src'] }))
  run('npm', ['install', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund'], consumer)
})

describe('the packed tarball, installed in a project of its own', () => {
  test('holds what package.json promises, and no test', () => {
    for (const file of [...Object.values(manifest.exports), ...Object.values(manifest.bin), 'LICENSE', 'README.md'])
      expect(existsSync(join(installed, file)), file).toBe(true)
    expect(filesOf(installed).filter((file) => /\.(test|prop|test-d)\.|fixtures/.test(file))).toEqual([])
  })

  test('holds the sources that the native binding is compiled from', () => {
    const kernels = (folder: string): readonly string[] => readdirSync(join(folder, 'ops/native/kernels')).toSorted()
    expect(kernels(join(installed, 'dist'))).toEqual(kernels(join(root, 'src')))
  })

  test.each(entries)('Node imports %s', (entry) => {
    const program = `import * as m from '${entry}'; console.log(Object.keys(m).length)`
    expect(Number(run(process.execPath, ['--input-type=module', '-e', program], consumer))).toBeGreaterThan(0)
  })

  test.each(entries)('Node requires %s', (entry) => {
    const program = `console.log(Object.keys(require('${entry}')).length)`
    expect(Number(run(process.execPath, ['--input-type=commonjs', '-e', program], consumer))).toBeGreaterThan(0)
  })

  test('loads without the optional peers, except where fast-check is the point', () => {
    const others = entries.filter((entry) => !entry.endsWith('/laws'))
    const program = others.map((entry) => `require('${entry}')`).join(';')
    const [here, away] = [join(consumer, 'node_modules/fast-check'), join(consumer, 'fast-check')]
    renameSync(here, away)
    try {
      expect(existsSync(join(consumer, 'node_modules/@tensorflow/tfjs-node'))).toBe(false)
      expect(() => run(process.execPath, ['--input-type=commonjs', '-e', program], consumer)).not.toThrow()
    } finally {
      renameSync(away, here)
    }
  })

  test('puts a command on the path that runs', () => {
    const command = join(consumer, 'node_modules/.bin', Object.keys(manifest.bin)[0] ?? '')
    const counts = JSON.parse(run(command, ['inspect', '--model', 'sllm', '--json'], consumer)) as object
    expect(counts).toMatchObject({ parameters: 13_698_976, trainable: 13_698_976, frozen: 0 })
  })

  test('publint --strict has nothing to say', async () => {
    const { messages, pkg } = await publint({ pkgDir: installed, strict: true })
    expect(messages.map((message) => formatMessage(message, pkg))).toEqual([])
  })

  test("a strict TypeScript project compiles against it, its libraries' declarations included", () => {
    const compiler = join(root, 'node_modules/typescript/bin/tsc')
    expect(run(process.execPath, [compiler, '-p', consumer, '--pretty', 'false'], consumer)).toBe('')
  })

  // What the compiler does is the same on every machine; how long it takes is bounded for the slowest of them.
  test.each(Object.entries(budget))('checking %s.ts keeps to its budget', (name, limit) => {
    const { errors, ...cost } = measureIn(consumer, `src/${name}.ts`)
    expect(errors).toEqual([])
    expect(cost.instantiations).toBeLessThanOrEqual(limit.instantiations)
    expect(cost.milliseconds).toBeLessThanOrEqual(limit.milliseconds)
  })

  test('what it compiled runs under plain Node', () => {
    const programs = filesOf(join(consumer, 'out')).filter((file) => file.endsWith('.js'))
    expect(programs.length).toBeGreaterThan(0)
    for (const program of programs) expect(() => run(process.execPath, [program], consumer)).not.toThrow()
  })

  test('no declaration names a type of tfjs', () => {
    const naming = filesOf(installed)
      .filter((file) => file.endsWith('.d.ts'))
      .filter((file) => {
        const { importedFiles, typeReferenceDirectives } = ts.preProcessFile(readFileSync(file, 'utf8'))
        return [...importedFiles, ...typeReferenceDirectives].some(({ fileName }) => fileName.includes('tensorflow'))
      })
    expect(naming).toEqual([])
  })

  test('no file holds a path of the machine it was built on', () => {
    const places = [root, consumer, join(homedir(), '/')]
    const leaking = filesOf(installed).flatMap((file) => {
      const text = readFileSync(file, 'latin1')
      return places.filter((place) => text.includes(place)).map((place) => `${file.slice(installed.length)}: ${place}`)
    })
    expect(leaking).toEqual([])
  })
})
