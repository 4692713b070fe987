// Interpreters with pinned packages, installed once into the cache of this user.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** The folder of this user's cache that is ours. */
export const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'espalier')

/** Runs a command; a failure throws. @param {string} command @param {readonly string[]} args @param {string} [cwd] */
export const run = (command, args, cwd) => {
  const { status, error } = spawnSync(command, args, { cwd, stdio: 'inherit' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? `exit code ${status}`}`)
}

/** An interpreter with the packages of a requirements file. @param {string} name @param {string} requirements */
export const pythonWith = (name, requirements) => {
  const pinned = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 12)
  const folder = join(cache, `${name}-${pinned}`)
  const interpreter = join(folder, 'bin', 'python')
  const complete = join(folder, 'complete')
  if (!existsSync(complete)) {
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    run('python3', ['-m', 'venv', folder])
    run(interpreter, ['-m', 'pip', 'install', '--quiet', '--requirement', requirements])
    writeFileSync(complete, '')
  }
  return interpreter
}
