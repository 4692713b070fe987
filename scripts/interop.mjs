// `npm run interop [-- SEED…]`: Espalier against the real transformers and PEFT, on models and adapters made afresh.
// One way, the logits that our command line computes are compared with theirs; the other way, they load what it writes.
// The packages are installed once into the cache of this user; ESPALIER_PYTHON names an interpreter that has them already.
// The last line is `N passed, N failed`.
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { pythonWith, run as runIn } from './python.mjs'

// The commands as `espalier NAME …` takes them, called within this process: there are more than a thousand calls.
const commands = {
  logits: (model, adapter, merge, input, output) => [
    '--model',
    model,
    '--input',
    input,
    '--output',
    output,
    ...(adapter ? ['--adapter', adapter] : []),
    ...(merge ? ['--merge'] : []),
  ],
  convert: (model, adapter, to, output) => ['--model', model, '--adapter', adapter, '--to', to, '--output', output],
  merge: (model, adapter, output) => ['--model', model, '--adapter', adapter, '--output', output],
}

const root = fileURLToPath(new URL('..', import.meta.url))
const here = join(root, 'scripts', 'interop')

/** @param {string} command @param {readonly string[]} args */
const run = (command, args) => runIn(command, args, root)

/** An interpreter with the pinned packages. */
const python = () => process.env.ESPALIER_PYTHON ?? pythonWith('interop', join(here, 'requirements.txt'))

/** The command line of the build, as `espalier(name, …)`. */
const built = async () => {
  run('npm', ['run', '--silent', 'build'])
  const load = async (name) => (await import(pathToFileURL(join(root, 'dist', 'cli', `${name}.js`)).href))[name]
  const loaded = Object.fromEntries(
    await Promise.all(Object.keys(commands).map(async (name) => [name, await load(name)])),
  )
  return (name, ...args) => loaded[name](commands[name](...args))
}

/** Runs a command; what it refuses is told here, and counted as failed where its files are compared. */
const attempt = async (title, command) => {
  try {
    await command()
    return true
  } catch (error) {
    console.log(`${title}: ${error instanceof Error ? error.message : String(error)}`)
    return false
  }
}

/** What our side makes of one fixture: the outputs of every case, the adapter written anew, and the merged model. */
const ours = async (espalier, work, group, name) => {
  const fixture = join(work, 'fixtures', group, name)
  const inputs = join(work, 'inputs', group, name)
  const output = join(work, 'ours', group, name)
  mkdirSync(output, { recursive: true })
  const about = group === 'peft' ? JSON.parse(readFileSync(join(fixture, 'expected.json'), 'utf8')) : undefined
  const model = about ? join(work, 'fixtures', 'models', about.model) : fixture
  const adapter = about ? fixture : undefined
  const logits = (file, merge) => {
    const target = join(output, merge ? file.replace('.', '.merged.') : file)
    return attempt(`${group}/${name} ${file}`, () =>
      espalier('logits', model, adapter, merge, join(inputs, file), target),
    )
  }
  for (const file of readdirSync(inputs)) {
    if (!(await logits(file, false))) {
      if (about?.options.includes('may be refused')) writeFileSync(join(output, 'refused'), '')
      return
    }
    if (about?.mergeable) await logits(file, true)
  }
  if (!about) return
  const [own, again, merged] = ['espalier', 'peft', 'merged'].map((folder) => join(output, folder))
  await attempt(`${name} to ours and back`, async () => {
    await espalier('convert', model, adapter, 'espalier', own)
    await espalier('convert', model, own, 'peft', again)
  })
  if (about.mergeable) await attempt(`${name} merged`, () => espalier('merge', model, adapter, merged))
}

const compare = async (interpreter, espalier, seed) => {
  const work = mkdtempSync(join(tmpdir(), 'espalier-interop-'))
  const script = (file, ...args) => run(interpreter, [join(here, file), ...args])
  try {
    script('make.py', '--out', join(work, 'fixtures'), '--seed', String(seed))
    script('check.py', 'split', work)
    for (const group of ['models', 'peft'])
      for (const name of readdirSync(join(work, 'inputs', group))) await ours(espalier, work, group, name)
    script('check.py', 'compare', work)
    return JSON.parse(readFileSync(join(work, 'result.json'), 'utf8'))
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

const seeds = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [1, 2]
const interpreter = python()
const espalier = await built()
const total = { passed: 0, failed: 0 }
for (const seed of seeds) {
  const { passed, failed } = await compare(interpreter, espalier, seed)
  console.log(`seed ${seed}: ${passed} passed, ${failed} failed`)
  total.passed += passed
  total.failed += failed
}
console.log(`${total.passed} passed, ${total.failed} failed`)
process.exitCode = total.failed === 0 ? 0 : 1
