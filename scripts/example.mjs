// Runs an example in TypeScript against the built package: node scripts/example.mjs complaints/main [arguments]
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { transpile } from './transpile.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const [name = '', ...args] = process.argv.slice(2)
const target = join(root, '.examples')

const build = spawnSync(process.execPath, [join(root, 'scripts/build.mjs')], { stdio: 'inherit' })
if (build.status !== 0) process.exit(build.status ?? 1)

transpile(join(root, 'examples'), target)
process.exitCode = spawnSync(process.execPath, [join(target, `${name}.js`), ...args], { stdio: 'inherit' }).status ?? 1
