// Runs an example in TypeScript against the built package: node scripts/example.mjs complaints/main [arguments]
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const root = fileURLToPath(new URL('..', import.meta.url))
const [name = '', ...args] = process.argv.slice(2)
const [source, target] = [join(root, 'examples'), join(root, '.examples')]

const build = spawnSync(process.execPath, [join(root, 'scripts/build.mjs')], { stdio: 'inherit' })
if (build.status !== 0) process.exit(build.status ?? 1)

// Types are checked by `npm run typecheck`; here they are only taken off, into a folder that resolves `espalier` as a user's would.
rmSync(target, { recursive: true, force: true })
const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
for (const file of files) {
  const to = join(target, file.replace(/\.ts$/, '.js'))
  mkdirSync(dirname(to), { recursive: true })
  const { outputText } = ts.transpileModule(readFileSync(join(source, file), 'utf8'), {
    fileName: file,
    compilerOptions: {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ESNext,
      rewriteRelativeImportExtensions: true,
    },
  })
  writeFileSync(to, outputText)
}
process.exitCode = spawnSync(process.execPath, [join(target, `${name}.js`), ...args], { stdio: 'inherit' }).status ?? 1
