import { spawn } from 'node:child_process'
import type { Command } from './plan.ts'

/** How a program ended; `error` is the system's code when it could not be started (`ENOENT`: no such program). */
export interface Ended {
  readonly code: number | null
  readonly signal: string | null
  readonly error: string | null
  /** The last 4000 characters of standard output, and of both streams together. */
  readonly output: string
  readonly tail: string
}

/** Runs a program to its end without a shell; never rejects. */
export const run = (command: Command, environment: NodeJS.ProcessEnv, directory?: string): Promise<Ended> =>
  new Promise((resolve) => {
    let [output, tail] = ['', '']
    const append = (text: string, chunk: Buffer): string => (text + chunk.toString('utf8')).slice(-4000)
    const end = (code: number | null, signal: string | null, error: string | null): void =>
      resolve({ code, signal, error, output: output.trim(), tail: tail.trim() })
    // Without a standard input no program can stop to ask something that nobody sees.
    const child = spawn(command.file, command.args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: environment,
      ...(directory === undefined ? {} : { cwd: directory }),
    })
    child.stdout.on('data', (chunk: Buffer) => {
      output = append(output, chunk)
      tail = append(tail, chunk)
    })
    child.stderr.on('data', (chunk: Buffer) => {
      tail = append(tail, chunk)
    })
    child.on('error', (error: NodeJS.ErrnoException) => end(null, null, error.code ?? error.message))
    child.on('close', (code, signal) => end(code, signal, null))
  })
