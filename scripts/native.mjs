// `npm run native`. Node 20 runs no TypeScript, and in a fresh clone nothing is built yet: so the few files of the
// installer are stripped of their types into node_modules, where they still find the packages of the project.
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const target = join(root, 'node_modules', '.cache', `espalier-native-${process.pid}`)

const transpile = (ts, file) => {
  const compilerOptions = {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    verbatimModuleSyntax: true,
    rewriteRelativeImportExtensions: true,
  }
  const { outputText } = ts.transpileModule(readFileSync(join(root, 'src', file), 'utf8'), { compilerOptions })
  const output = join(target, file.replace(/\.ts$/, '.js'))
  mkdirSync(dirname(output), { recursive: true })
  writeFileSync(output, outputText)
}

const main = async () => {
  const { default: ts } = await import('typescript').catch(() => {
    throw new Error('The packages of the project are not installed yet: run "npm ci" first.')
  })
  const installer = readdirSync(join(root, 'src', 'ops', 'native')).filter((name) => /^(?!custom).*\.ts$/.test(name))
  for (const file of ['tree/error.ts', ...installer.map((name) => `ops/native/${name}`)]) transpile(ts, file)
  cpSync(join(root, 'src/ops/native/kernels'), join(target, 'ops/native/kernels'), { recursive: true })
  writeFileSync(join(target, 'package.json'), '{ "type": "module" }\n')

  const load = (file) => import(pathToFileURL(join(target, file)).href)
  const { installNative } = await load('ops/native/install.js')
  const { formatIssues } = await load('tree/error.js')
  const installed = await installNative()
  if (!installed.ok) throw new Error(formatIssues(installed.issues))
  console.log(`The native engine is ready: ${installed.describe}, in ${installed.root}`)
}

try {
  await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
} finally {
  rmSync(target, { recursive: true, force: true })
}
