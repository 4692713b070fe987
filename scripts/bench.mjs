// `npm run bench -- NAME [--engines native,wasm] [--against torch,jax,…] [--models …] [--shapes …] [--rounds N] [--json FILE]`
// Builds the package and the benchmarks, sets up whatever a comparison is with, and runs it; docs/performance.md tells more.
// ESPALIER_PYTHON names an interpreter with the packages of scripts/interop/requirements.txt, ESPALIER_JAX one with jax.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { cache, pythonWith, run } from './python.mjs'
import { transpile } from './transpile.mjs'

const root = fileURLToPath(new URL('..', import.meta.url)).replace(/[/\\]$/, '')
const [name = '', ...rest] = process.argv.slice(2)
const against = rest.find((_, i) => rest[i - 1] === '--against')?.split(',') ?? ['torch', 'jax', 'jax-js']
const steps = ['lora', 'qlora', 'full', 'forward', 'generation']

const jaxJsVersion = '0.1.25'

/** The entry of jax-js, which is no dependency of ours. */
const jaxJs = () => {
  const folder = join(cache, `jax-js-${jaxJsVersion}`)
  const entry = join(folder, 'node_modules', '@jax-js', 'jax', 'dist', 'index.js')
  if (!existsSync(entry)) {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
    run('npm', ['install', '--silent', '--ignore-scripts', `@jax-js/jax@${jaxJsVersion}`], folder)
  }
  return pathToFileURL(entry).href
}

/** What takes part besides us: the variable that tells where it is, how it is got, and the comparisons it is in. */
const others = {
  torch: {
    variable: 'ESPALIER_PYTHON',
    get: () => pythonWith('interop', join(root, 'scripts/interop/requirements.txt')),
    where: [...steps, 'matmul'],
  },
  jax: {
    variable: 'ESPALIER_JAX',
    get: () => pythonWith('jax', join(root, 'bench/python/requirements-jax.txt')),
    where: ['lora', 'full', 'forward'],
  },
  'jax-js': { variable: 'ESPALIER_JAX_JS', get: jaxJs, where: ['matmul'] },
}

/** What of that there is; what cannot be had is told, and the rest goes on without it. */
const found = () =>
  Object.fromEntries(
    Object.entries(others).flatMap(([what, { variable, get, where }]) => {
      if (process.env[variable] !== undefined || !against.includes(what) || !where.includes(name)) return []
      try {
        return [[variable, get()]]
      } catch (error) {
        console.error(`${what} does not take part: ${error instanceof Error ? error.message : String(error)}`)
        return []
      }
    }),
  )

run(process.execPath, [join(root, 'scripts/build.mjs')])
const target = join(root, '.bench')
transpile(join(root, 'bench'), target)
const env = { ...process.env, ...found(), ESPALIER_BENCH_ROOT: root, ESPALIER_BENCH_CACHE: join(cache, 'bench') }
process.exitCode =
  spawnSync(process.execPath, [join(target, 'main.js'), name, ...rest], { stdio: 'inherit', env }).status ?? 1
