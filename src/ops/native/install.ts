import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Issue } from '../../tree/error.ts'
import { formatBytes, publish, sizeOf, sweep, temporaryPath } from './files.ts'
import { compilerOf, inspectHost } from './host.ts'
import { nativePaths, nativeRoot, versions } from './location.ts'
import type { NativePaths } from './location.ts'
import { mended } from './mend.ts'
import * as plan from './plan.ts'
import type { Command, Source, Step } from './plan.ts'
import { run } from './process.ts'
import type { Ended } from './process.ts'
import { kernels, readStamp, stepsToDo, writeStamp } from './state.ts'

/** Where to install, with which environment, and who is told about each step. */
export interface NativeOptions {
  /** @defaultValue the user's cache directory, see `nativeRoot` */
  readonly root?: string
  readonly environment?: NodeJS.ProcessEnv
  /** Gets pieces of text, a line for each step. @defaultValue writes to standard output */
  readonly write?: (text: string) => void
}

/** What was installed where, or everything that stands in the way. */
export type NativeInstallation =
  | { readonly ok: true; readonly root: string; readonly bytes: number; readonly describe: string }
  | { readonly ok: false; readonly issues: readonly Issue[] }

interface Site {
  readonly paths: NativePaths
  readonly environment: NodeJS.ProcessEnv
  readonly write: (text: string) => void
}

/** Ends the steps; only `installNative` catches it. */
class StepFailure extends Error {
  readonly issue: Issue
  constructor(issue: Issue) {
    super(issue.found)
    this.issue = issue
  }
}

/**
 * Makes the native engine work where tfjs-node's own installer cannot: fetches tfjs-node and TensorFlow from the
 * package registries, compiles the binding between them, and has it compute something.
 *
 * All of it lies in one directory of the user's cache; no project, no Python and no system folder is changed. Finished
 * steps are kept, so a failed run is simply run again. Never rejects.
 */
export const installNative = async (options: NativeOptions = {}): Promise<NativeInstallation> => {
  const environment = options.environment ?? process.env
  const write = options.write ?? ((text: string) => void process.stdout.write(text))
  const paths = nativePaths(options.root ?? nativeRoot(environment))
  try {
    const todo = stepsToDo(paths)
    const issues = todo.length === 0 ? [] : plan.obstacles(await inspectHost(paths.root, environment), todo, paths.root)
    if (issues.length > 0) return { ok: false, issues }
    sweep(paths.root)
    for (const [index, step] of plan.steps.entries()) {
      const start = performance.now()
      write(`${index + 1}/${plan.steps.length} ${titles[step]}: `)
      if (todo.includes(step)) {
        await perform[step]({ paths, environment, write }).catch((error: unknown) => {
          write('failed\n')
          throw error
        })
      }
      const took = todo.includes(step) ? `${((performance.now() - start) / 1000).toFixed(1)} s` : 'already there'
      write(`${formatBytes(sizeOf(places[step](paths)))}, ${took}\n`)
    }
    return { ok: true, root: paths.root, bytes: sizeOf(paths.root), describe: readStamp(paths)?.describe ?? '' }
  } catch (error) {
    return { ok: false, issues: [error instanceof StepFailure ? error.issue : unexpected(error, paths.root)] }
  } finally {
    sweep(paths.root)
  }
}

const titles: Record<Step, string> = {
  package: `tfjs-node ${versions.tfjs} from npm`,
  library: `TensorFlow ${versions.tensorflow} from PyPI (232 MB to download)`,
  binding: 'the binding between them, compiled here',
  check: 'a few results that are known, in all',
}

const places: Record<Step, (paths: NativePaths) => string> = {
  package: (paths) => paths.project,
  library: (paths) => paths.tensorflow,
  binding: (paths) => paths.binding,
  check: (paths) => paths.root,
}

const network =
  'Check the network, and the registry and proxy settings of npm and pip, then run it again: what is ' +
  'finished is kept.'

const perform: Record<Step, (site: Site) => Promise<void>> = {
  package: async (site) => {
    const directory = temporaryPath(site.paths.root, 'project')
    for (const [name, content] of Object.entries(plan.projectFiles())) {
      mkdirSync(dirname(join(directory, name)), { recursive: true })
      writeFileSync(join(directory, name), content)
    }
    await must(site, plan.fetchPackage('npm', directory), 'DownloadFailed', network)
    publish(directory, site.paths.project)
  },

  library: async (site) => {
    const python = 'python3'
    if (!existsSync(site.paths.wheel)) {
      const directory = temporaryPath(site.paths.root, 'wheel')
      mkdirSync(directory, { recursive: true })
      const requirements = join(directory, 'requirements.txt')
      writeFileSync(requirements, plan.requirement)
      await must(site, plan.fetchLibrary(python, requirements, directory), 'DownloadFailed', network)
      const wheel = readdirSync(directory).find((name) => name.endsWith('.whl')) ?? ''
      renameSync(join(directory, wheel), site.paths.wheel)
    }
    const unpacked = temporaryPath(site.paths.root, 'tensorflow')
    await must(
      site,
      plan.unpackLibrary(python, site.paths.wheel, unpacked),
      'UnpackFailed',
      `Delete ${site.paths.wheel} if it is damaged, and look whether the disk is full.`,
    )
    // Only saves space: where there is no strip, the libraries stay as they are.
    await run(plan.stripLibrary(unpacked), site.environment)
    publish(unpacked, site.paths.tensorflow)
    rmSync(site.paths.wheel, { force: true })
  },

  binding: (site) =>
    build(site, [...plan.bindingSources(site.paths), ...kernels()]).catch((error: unknown) =>
      withoutKernels(site, error),
    ),

  check: async (site) => {
    const verify = fileURLToPath(import.meta.url).replace(/install(\.[jt]s)$/, 'verify$1')
    const command = { file: process.execPath, args: [verify, site.paths.root] }
    const check = (): Promise<Ended> =>
      must(site, command, 'CheckFailed', `Delete ${site.paths.root} and run it again. Until then WASM is used.`)
    const ended = await check().catch((error: unknown) => withoutKernels(site, error).then(check))
    writeStamp(site.paths, ended.output)
  },
}

/** The binding, compiled two files at a time and linked. */
const build = async (site: Site, sources: readonly Source[]): Promise<void> => {
  const compiler = compilerOf(site.environment)
  const help = 'A C++17 compiler and its standard library are needed; GCC 12 is proven.'
  const directory = temporaryPath(site.paths.root, 'objects')
  mkdirSync(directory, { recursive: true })
  const objects = sources.map((_, index) => join(directory, `${index}.o`))
  const todo = sources.entries()
  const compileOneByOne = async (): Promise<void> => {
    for (const [index, source] of todo)
      await must(
        site,
        plan.compile(compiler, site.paths, asMended(site, source, join(directory, `${index}.cc`)), objects[index]!),
        'CompilationFailed',
        help,
      )
  }
  const ended = await Promise.allSettled([compileOneByOne(), compileOneByOne()])
  for (const end of ended) if (end.status === 'rejected') throw end.reason
  const linked = join(directory, 'tfjs_binding.node')
  await must(site, plan.link(compiler, site.paths, objects, linked), 'CompilationFailed', help)
  mkdirSync(dirname(site.paths.binding), { recursive: true })
  // A binding that replaces a verified one is not verified itself.
  rmSync(site.paths.stamp, { force: true })
  renameSync(linked, site.paths.binding)
}

/** The source itself, or a mended copy of it at `path`: what npm has fetched stays as it is. */
const asMended = ({ paths }: Site, { file, flags, mends }: Source, path: string): Source => {
  if (mends === undefined) return { file, flags }
  const result = mended(readFileSync(file, 'utf8'), mends)
  if (!result.ok)
    throw new StepFailure({
      _tag: 'SourceChanged',
      path: file,
      expected: `this passage, once:\n${result.missing.trimEnd()}`,
      found: 'another text',
      hint: `It is mended as tfjs-node ${versions.tfjs} has it. Delete ${paths.project} and run it again.`,
    })
  writeFileSync(path, result.text)
  // Its headers lie beside the original.
  return { file: path, flags: [...flags, '-iquote', dirname(file)] }
}

/** Kernels of our own only make it faster: where they do not compile or compute, the engine goes without them. */
const withoutKernels = async (site: Site, error: unknown): Promise<void> => {
  if (!(error instanceof StepFailure)) throw error
  await build(site, plan.bindingSources(site.paths))
  site.write(`without the kernels of espalier (${error.issue.found.split('\n')[0]}), `)
}

const must = async (site: Site, command: Command, tag: string, hint: string): Promise<Ended> => {
  const ended = await run(command, site.environment, site.paths.root)
  if (ended.code === 0) return ended
  const how = ended.error ?? (ended.signal === null ? `exit code ${ended.code}` : `signal ${ended.signal}`)
  throw new StepFailure({
    _tag: tag,
    path: command.file,
    expected: 'it to succeed',
    found: `${how}: ${lastLines(ended.tail)}`,
    hint,
  })
}

const lastLines = (text: string): string => text.trim().split('\n').slice(-12).join('\n    ')

const unexpected = (error: unknown, root: string): Issue => ({
  _tag: 'InstallationFailed',
  path: root,
  expected: 'a directory that can be written to',
  found: error instanceof Error ? error.message : String(error),
  hint: 'Name another one in the variable ESPALIER_NATIVE_DIR.',
})
