// How much work a program costs the compiler. Each test/types/budget/*.ts is compiled as a user's program, and the number of
// type instantiations, which is the same on every machine, must stay under its number in thresholds.json.
// `node scripts/type-budget.mjs` prints a table; with --update it writes thresholds a tenth above what was measured.
// What the same costs with the declarations of the package, in a project of a user's, is measured by test/package.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import ts from 'typescript'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = join(root, 'test/types/budget')
const thresholdsFile = join(folder, 'thresholds.json')

/** Names of the fixtures, without their ending. */
export const fixtures = readdirSync(folder)
  .filter((file) => file.endsWith('.ts'))
  .map((file) => basename(file, '.ts'))

/** @returns {Record<string, number>} */
export const thresholds = () => JSON.parse(readFileSync(thresholdsFile, 'utf8'))

/** @param {string} project */
const optionsOf = (project) => {
  const { config } = ts.readConfigFile(join(project, 'tsconfig.json'), (file) => ts.sys.readFile(file))
  return ts.parseJsonConfigFileContent(config, { ...ts.sys, readDirectory: () => [] }, project).options
}

const options = optionsOf(root)

const host = ts.createCompilerHost(options)
const parsed = new Map()
const read = host.getSourceFile.bind(host)
host.getSourceFile = (file, ...rest) => {
  if (!parsed.has(file)) parsed.set(file, read(file, ...rest))
  return parsed.get(file)
}

/**
 * The type instantiations of checking one fixture (and of whatever declarations it pulls in, not their bodies).
 *
 * @param {string} name
 * @returns {{ instantiations: number, errors: string[] }}
 */
export const measure = (name) => {
  const file = join(folder, `${name}.ts`)
  const program = ts.createProgram([file], { ...options, noUnusedLocals: false }, host)
  const diagnostics = program.getSemanticDiagnostics(program.getSourceFile(file))
  const errors = diagnostics.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
  return { instantiations: program.getInstantiationCount(), errors }
}

/**
 * The same of a program in a project that depends on the package, and the milliseconds of computing time that checking it took.
 *
 * @param {string} project
 * @param {string} file
 * @returns {{ instantiations: number, milliseconds: number, errors: string[] }}
 */
export const measureIn = (project, file) => {
  const program = ts.createProgram([join(project, file)], optionsOf(project))
  program.getTypeChecker()
  const start = process.cpuUsage()
  const diagnostics = program.getSemanticDiagnostics(program.getSourceFile(join(project, file)))
  const milliseconds = process.cpuUsage(start).user / 1000
  const errors = diagnostics.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
  return { instantiations: program.getInstantiationCount(), milliseconds, errors }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const measured = fixtures.map((name) => ({ name, ...measure(name), limit: thresholds()[name] }))
  for (const { name, instantiations, limit, errors } of measured)
    console.log([name.padEnd(32), String(instantiations).padStart(9), `limit ${limit}`, ...errors].join('  '))
  if (process.argv.includes('--update')) {
    const entries = measured.map(({ name, instantiations }) => [name, Math.ceil(instantiations * 1.1)])
    writeFileSync(thresholdsFile, `${JSON.stringify(Object.fromEntries(entries), null, 2)}\n`)
  }
}
