import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type * as Tf from '@tensorflow/tfjs'
import { nativePaths, versions } from './location.ts'
import type { NativePaths } from './location.ts'
import { isFresh } from './state.ts'

/** The native engine is there and registered with tfjs as backend `tensorflow`; or one sentence why it is not. */
export type NativeLoad =
  | {
      readonly ok: true
      readonly describe: string
      readonly tfjsNode: string
      /** The binding was made of the kernels that this version of espalier knows. */
      readonly fresh: boolean
    }
  | { readonly ok: false; readonly why: string }

type Tfjs = typeof Tf
type Backend = Tf.KernelBackend & { readonly binding?: { readonly TF_Version?: string } }

const backendName = 'tensorflow'
const program = createRequire(import.meta.url)
const tfjs = '@tensorflow/tfjs'
const tfjsNode = '@tensorflow/tfjs-node'
const command = '"npx espalier native" (in a clone of espalier: "npm run native")'

/**
 * Loads tfjs-node and registers it as tfjs's backend `tensorflow`: the one a program has imported itself, else what
 * the native installer made, else a normal installation that works. The backend chosen before stays the chosen one.
 * Never throws; a second call is free.
 */
export const loadNative = (): NativeLoad => {
  try {
    return findNative()
  } catch (error) {
    return { ok: false, why: message(error) }
  }
}

const findNative = (): NativeLoad => {
  const tf = attempt(() => program(tfjs) as Tfjs)
  if (tf === null) return { ok: false, why: `${tfjs} is not installed: npm install ${tfjs}@${versions.tfjs}` }
  if (tf.version.tfjs !== versions.tfjs) {
    return { ok: false, why: `the native engine needs ${tfjs} ${versions.tfjs}, found ${tf.version.tfjs}` }
  }
  const paths = nativePaths()
  const installed: NativeLoad = existsSync(paths.stamp)
    ? loadInstalled(tf, paths)
    : { ok: false, why: `no native engine in ${paths.root} (${command} installs it)` }
  if (installed.ok) return installed
  const normal = loadNormal(tf)
  return normal.ok ? normal : { ok: false, why: `${installed.why}; ${normal.why}` }
}

/** Loads the engine that lies at `paths`, verified or not: what the installer's last step is about to find out. */
export const loadInstalledAt = (paths: NativePaths): NativeLoad => loadInstalled(program(tfjs) as Tfjs, paths)

const loadNormal = (tf: Tfjs): NativeLoad => {
  const path = attempt(() => program.resolve(tfjsNode))
  if (path === null) return { ok: false, why: `${tfjsNode} is not installed` }
  // A second tfjs would register every kernel again and be the engine of half the program.
  if (createRequire(path).resolve(tfjs) !== program.resolve(tfjs)) {
    return { ok: false, why: `${tfjsNode} comes with a ${tfjs} of its own (only ${versions.tfjs} fits)` }
  }
  const loaded = register(tf, () => program(tfjsNode), join(path, '..', '..'))
  return loaded.ok ? loaded : { ok: false, why: `${tfjsNode} is installed but does not load (${loaded.why})` }
}

const loadInstalled = (tf: Tfjs, paths: NativePaths): NativeLoad => {
  const loaded = register(
    tf,
    () => {
      const installed = createRequire(join(paths.project, 'package.json'))
      // tfjs-node is lent the program's own tfjs: one engine, one set of kernels, one count of tensors.
      program.cache[installed.resolve(tfjs)] = program.cache[program.resolve(tfjs)]
      return installed(tfjsNode) as unknown
    },
    paths.tfjsNode,
  )
  if (!loaded.ok) return { ok: false, why: `${loaded.why}; delete ${paths.root} and run ${command} again` }
  // In a program that was bundled into one file, the sources are not there to compare with.
  return { ...loaded, fresh: attempt(() => isFresh(paths)) ?? false }
}

const register = (tf: Tfjs, requireTfjsNode: () => unknown, directory: string): NativeLoad => {
  const before = tf.engine().backendName
  try {
    restoreUtil()
    // TensorFlow's notes about its own build help nobody who did not build it; warnings of tfjs at import neither.
    process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2'
    tf.env().set('PROD', true)
    if (tf.engine().registryFactory[backendName] === undefined) requireTfjsNode()
    const backend = tf.findBackend(backendName) as Backend | null
    if (backend?.binding === undefined) return { ok: false, why: 'it registered no backend' }
    const version = backend.binding.TF_Version ?? 'of unknown version'
    const describe = `TensorFlow ${version} through tfjs-node ${versions.tfjs}`
    return { ok: true, describe, tfjsNode: directory, fresh: false }
  } catch (error) {
    return { ok: false, why: message(error) }
  } finally {
    // At once for a backend that is already up, as this one is.
    if (before && before !== tf.engine().backendName) void tf.setBackend(before)
  }
}

/** tfjs-node 4.22.0 still uses two functions that Node 23 removed. */
const restoreUtil = (): void => {
  const util = program('node:util') as Record<string, unknown>
  util['isNullOrUndefined'] ??= (value: unknown): boolean => value === null || value === undefined
  util['isArray'] ??= Array.isArray
}

const attempt = <A>(f: () => A): A | null => {
  try {
    return f()
  } catch {
    return null
  }
}

const message = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? 'unknown error'
