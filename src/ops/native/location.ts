import { homedir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'

/** The versions that were proven together; the binding is only ever used with the library it was compiled against. */
export const versions: { readonly tfjs: string; readonly tensorflow: string; readonly nodeApiHeaders: string } = {
  tfjs: '4.22.0',
  tensorflow: '2.12.1',
  nodeApiHeaders: '1.9.0',
}

/** Where everything of one native engine lies; all programs of a user share it. */
export interface NativePaths {
  readonly root: string
  /** A private npm project that holds tfjs-node and the Node-API headers. */
  readonly project: string
  readonly tfjsNode: string
  readonly nodeApiHeaders: string
  readonly binding: string
  /** TensorFlow's two shared libraries and `include/`. */
  readonly tensorflow: string
  readonly wheel: string
  /** Written last, after the engine has computed something: without it the engine counts as not installed. */
  readonly stamp: string
}

type Environment = Readonly<Record<string, string | undefined>>

/** The directory of the native engine: under `ESPALIER_NATIVE_DIR`, else under the user's cache directory. */
export const nativeRoot = (environment: Environment = process.env, home: string = homedir()): string => {
  const own = environment['ESPALIER_NATIVE_DIR']
  const shared = environment['XDG_CACHE_HOME'] ?? ''
  // A relative XDG directory is to be ignored, says the XDG specification.
  const cache = isAbsolute(shared) ? shared : join(home, '.cache')
  const base = own ? resolve(own) : join(cache, 'espalier', 'native')
  return join(base, `tfjs-node-${versions.tfjs}-tensorflow-${versions.tensorflow}-${process.platform}-${process.arch}`)
}

/** The layout below `root`. */
export const nativePaths = (root: string = nativeRoot()): NativePaths => {
  const project = join(root, 'project')
  const modules = join(project, 'node_modules')
  const tfjsNode = join(modules, '@tensorflow', 'tfjs-node')
  return {
    root,
    project,
    tfjsNode,
    nodeApiHeaders: join(modules, 'node-api-headers', 'include'),
    binding: join(tfjsNode, 'lib', 'napi-v8', 'tfjs_binding.node'),
    tensorflow: join(root, 'tensorflow'),
    wheel: join(root, 'tensorflow.whl'),
    stamp: join(root, 'ready.json'),
  }
}
