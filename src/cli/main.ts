#!/usr/bin/env node
import { readFile } from 'node:fs/promises'
import { EspalierError } from '../tree/error.ts'
import { didYouMean } from '../tree/nearest.ts'
import { installNative } from '../ops/native/install.ts'
import { messageOf, refuse, usage } from './errors.ts'
import { readFlags } from './flags.ts'
import { convert, convertHelp } from './convert.ts'
import { generate, generateHelp } from './generate.ts'
import { inspect, inspectHelp } from './inspect.ts'
import { logits, logitsHelp } from './logits.ts'
import { merge, mergeHelp } from './merge.ts'
import { train, trainHelp } from './train.ts'

const nativeHelp = `espalier native
  Builds the native engine (TensorFlow's C++ library under tfjs-node) into a cache of this user; Linux on x64.`

const exits = 'Exit code 0 when all went well, 2 for bad input, with one message on stderr.'

const native = async (args: readonly string[]): Promise<string> => {
  readFlags('native', args, {})
  const result = await installNative()
  return result.ok ? `The native engine is ready in ${result.root}.` : refuse(result.issues)
}

interface Command {
  readonly help: string
  readonly run: (args: readonly string[]) => Promise<string>
}

const commands: Readonly<Record<string, Command>> = {
  inspect: { help: inspectHelp, run: (args) => inspect(args, process.stdout.isTTY) },
  logits: { help: logitsHelp, run: logits },
  generate: { help: generateHelp, run: (args) => generate(args, (text) => void process.stdout.write(text)) },
  train: { help: trainHelp, run: train },
  merge: { help: mergeHelp, run: merge },
  convert: { help: convertHelp, run: convert },
  native: { help: nativeHelp, run: native },
}

const help = [
  'espalier: model transforms as values',
  ...Object.values(commands).map((command) => command.help),
  `espalier <command> --help, espalier --version\n\n${exits}`,
].join('\n\n')

const readPackage = async (): Promise<{ readonly version: string }> =>
  JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as { readonly version: string }

const main = async ([name, ...args]: readonly string[]): Promise<string> => {
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') return help
  if (name === '--version') return (await readPackage()).version
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) throw usage('', 'a command', `"${name}"`, didYouMean(name, Object.keys(commands)))
  return args.includes('--help') || args.includes('-h') ? `${command.help}\n\n${exits}` : command.run(args)
}

// A mistake of the caller's has a code of Node's (a bad flag, a missing file) or is one of our own errors; the rest is a bug.
const isBadInput = (e: unknown): boolean => e instanceof EspalierError || (e instanceof Error && 'code' in e)

// Who reads may stop reading, as `head` does.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit()
})

main(process.argv.slice(2)).then(
  (text) => void process.stdout.write(`${text}\n`),
  (e: unknown) => {
    process.stderr.write(`espalier: ${messageOf(e)}\n`)
    process.exitCode = isBadInput(e) ? 2 : 1
  },
)
