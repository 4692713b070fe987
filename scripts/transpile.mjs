// Takes the types off a folder of TypeScript, into one of this repository that resolves `espalier` as a user's program does.
// Types are checked by `npm run typecheck`.
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import ts from 'typescript'

/** @param {string} source @param {string} target */
export const transpile = (source, target) => {
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
}
