import { dirname, join, relative } from 'node:path'
import type { Issue } from '../../tree/error.ts'
import { formatBytes } from './files.ts'
import { versions } from './location.ts'
import type { NativePaths } from './location.ts'
import { backendMends, type Mend } from './mend.ts'

/** What the installer needs to know about the machine; `null` says that a program is missing. */
export interface Host {
  readonly platform: string
  readonly arch: string
  /** Version of glibc, `null` on musl. */
  readonly glibc: string | null
  readonly avx: boolean
  readonly freeBytes: number
  readonly npm: string | null
  readonly pip: string | null
  readonly compiler: string | null
}

/** The steps in the order in which they are done; each leaves nothing behind unless it succeeded. */
export const steps = ['package', 'library', 'binding', 'check'] as const

/** The name of a step of the installation. */
export type Step = (typeof steps)[number]

/** A program with its arguments. */
export interface Command {
  readonly file: string
  readonly args: readonly string[]
}

/** A C++ file of the binding, with the flags that only this file needs, and what is changed in it before it is compiled. */
export interface Source {
  readonly file: string
  readonly flags: readonly string[]
  readonly mends?: readonly Mend[]
}

/** Disk that the download and the unpacked library take together at the worst moment, measured: 0.85 GB. */
export const neededBytes = 1.1e9

const issue = (_tag: string, path: string, expected: string, found: string, hint: string): Issue => ({
  _tag,
  path,
  expected,
  found,
  hint,
})

/** Everything that stops the steps still to be done, all at once, so that one look is enough. */
export const obstacles = (host: Host, todo: readonly Step[], root: string): readonly Issue[] => {
  const withoutNative = 'Everything works without the native engine too: WASM is used instead, only slower.'
  const system = `${host.platform}-${host.arch}`
  if (system !== 'linux-x64' || host.glibc === null) {
    const found = host.platform === 'linux' && host.glibc === null ? `${system} with another C library` : system
    const hint =
      `Only Linux on x86-64 is proven. Elsewhere try the installer of tfjs-node itself: npm install ` +
      `@tensorflow/tfjs-node@${versions.tfjs}; if that works it is found and used. ${withoutNative}`
    return [issue('UnsupportedPlatform', 'platform', 'linux-x64 with glibc', found, hint)]
  }
  return [
    ...(host.avx ? [] : [issue('UnsupportedPlatform', 'cpu', 'a processor with AVX', 'one without', withoutNative)]),
    ...(todo.includes('package') && host.npm === null
      ? [issue('MissingProgram', 'npm', 'npm on the PATH', 'none', 'Install npm, which comes with Node.')]
      : []),
    ...(todo.includes('library') && host.pip === null
      ? [
          issue(
            'MissingProgram',
            'python3',
            'python3 with pip on the PATH, to fetch TensorFlow',
            'none that works',
            'Install them, on Debian and Ubuntu: apt-get install python3 python3-pip. Python itself stays as it is.',
          ),
        ]
      : []),
    ...(todo.includes('binding') && host.compiler === null
      ? [
          issue(
            'MissingProgram',
            'g++',
            'a C++17 compiler',
            'none that works',
            'Install one, on Debian and Ubuntu: apt-get install g++; or name yours in the variable CXX.',
          ),
        ]
      : []),
    ...(todo.includes('library') && host.freeBytes < neededBytes
      ? [
          issue(
            'DiskFull',
            root,
            `${formatBytes(neededBytes)} free`,
            `${formatBytes(host.freeBytes)} free`,
            'Make room, or name another disk in the variable ESPALIER_NATIVE_DIR.',
          ),
        ]
      : []),
  ]
}

/**
 * The files of the private npm project.
 *
 * tfjs-node asks for its own copy of tfjs, which would be a second engine's worth of code in the program. Its two
 * imports are answered by a placeholder that `loadNative` fills with the copy the program already uses.
 */
export const projectFiles = (): Readonly<Record<string, string>> => {
  const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`
  return {
    'package.json': json({
      private: true,
      dependencies: {
        '@tensorflow/tfjs': 'file:./tfjs',
        '@tensorflow/tfjs-core': 'file:./tfjs-core',
        '@tensorflow/tfjs-node': versions.tfjs,
        'node-api-headers': versions.nodeApiHeaders,
      },
      overrides: { '@tensorflow/tfjs': '$@tensorflow/tfjs' },
    }),
    'tfjs/package.json': json({ name: '@tensorflow/tfjs', version: versions.tfjs, main: 'index.js' }),
    'tfjs/index.js': "throw new Error('load this package through espalier, which lends it the tfjs of the program')\n",
    'tfjs-core/package.json': json({ name: '@tensorflow/tfjs-core', version: versions.tfjs, main: 'index.js' }),
    'tfjs-core/index.js': "module.exports = require('../tfjs')\n",
  }
}

/** No install script runs: the one of tfjs-node is what fails. */
export const fetchPackage = (npm: string, directory: string): Command => ({
  file: npm,
  args: [
    'install',
    '--prefix',
    directory,
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--no-package-lock',
    '--install-links=false',
    '--workspaces=false',
    '--global=false',
    '--loglevel=error',
  ],
})

/** The requirement names the file's hash, so that what is linked into the program is what was proven. */
export const requirement: string = `tensorflow-cpu==${versions.tensorflow} \
--hash=sha256:7ffb595707a8fb376deaddc768784c7a0242b16cbc6e06393b1733b2ce19f855
`

/** The wheel is one for a fixed Python, whichever runs pip: only its C++ parts are used. */
export const fetchLibrary = (python: string, requirementsFile: string, directory: string): Command => ({
  file: python,
  args: [
    '-m',
    'pip',
    'download',
    '--quiet',
    '--no-deps',
    '--no-cache-dir',
    '--no-input',
    '--require-hashes',
    '--disable-pip-version-check',
    '--only-binary=:all:',
    '--platform=manylinux2014_x86_64',
    '--python-version=3.11',
    '--implementation=cp',
    '--abi=cp311',
    '--dest',
    directory,
    '--requirement',
    requirementsFile,
  ],
})

// Headers of compilers and of third parties that neither the binding nor an op of our own includes: 90 of 125 MB.
const unpack = `
import os, shutil, sys, zipfile
wheel, target = sys.argv[1:]
include, unused = 'tensorflow/include/', ('external/', 'tensorflow/compiler/')
libraries = ('tensorflow/libtensorflow_cc.so.2', 'tensorflow/libtensorflow_framework.so.2')
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        header = name.startswith(include) and not name[len(include):].startswith(unused)
        if name.endswith('/') or not (header or name in libraries):
            continue
        path = os.path.join(target, *name.split('/')[1:])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with archive.open(name) as source, open(path, 'wb') as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
`

/** A wheel is a zip: the two libraries and the headers are taken out, nothing is installed into anyone's Python. */
export const unpackLibrary = (python: string, wheel: string, directory: string): Command => ({
  file: python,
  args: ['-c', unpack, wheel, directory],
})

/** The symbol tables of the two libraries are a quarter of their size, and nothing reads them. */
export const stripLibrary = (directory: string): Command => ({
  file: 'strip',
  args: [
    '--strip-unneeded',
    ...['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'].map((name) => join(directory, name)),
  ],
})

/** What tfjs-node is made of: a binding with it alone works. */
export const bindingSources = (paths: NativePaths): readonly Source[] => {
  const source = (name: string): Source => ({ file: join(paths.tfjsNode, 'binding', name), flags: [] })
  return [{ ...source('tfjs_backend.cc'), mends: backendMends }, source('tfjs_binding.cc')]
}

/** The flags that give a compiler each of the three sets of instructions; the processor it runs on is asked at each call. */
const instructionSets: Readonly<Record<string, readonly string[]>> = {
  base: [],
  avx2: ['-mavx2', '-mfma'],
  avx512: ['-mavx512f', '-mavx512dq', '-mavx512bw', '-mavx512vl', '-mavx2', '-mfma', '-mprefer-vector-width=512'],
}

/** The kernels of our own among the files of their directory: those with SIMD in them once for each set of instructions. */
export const kernelSources = (directory: string, names: readonly string[]): readonly Source[] =>
  names
    .filter((name) => name.endsWith('.cc'))
    .flatMap((name) => {
      const file = join(directory, name)
      if (!name.startsWith('simd-')) return [{ file, flags: [] }]
      return Object.entries(instructionSets).map(([isa, flags]) => ({
        file,
        flags: ['-O3', '-Wno-psabi', `-DESPALIER_ISA=${isa}`, ...flags],
      }))
    })

/** TensorFlow's own flags where they change the layout of a type that crosses into the library. */
const compileFlags = [
  '-O2',
  '-std=c++17',
  '-fPIC',
  '-DNDEBUG',
  '-DNAPI_VERSION=8',
  '-DEIGEN_MAX_ALIGN_BYTES=64',
  '-D_GLIBCXX_USE_CXX11_ABI=1',
]

/** Compiles one source to an object file. */
export const compile = (compiler: string, paths: NativePaths, source: Source, object: string): Command => ({
  file: compiler,
  args: [
    ...compileFlags,
    ...source.flags,
    '-isystem',
    join(paths.tensorflow, 'include'),
    '-I',
    paths.nodeApiHeaders,
    '-c',
    source.file,
    '-o',
    object,
  ],
})

/** Links the objects to a binding that finds the library beside it, whatever `LD_LIBRARY_PATH` says. */
export const link = (compiler: string, paths: NativePaths, objects: readonly string[], output: string): Command => ({
  file: compiler,
  args: [
    '-shared',
    '-fPIC',
    ...objects,
    '-o',
    output,
    '-L',
    paths.tensorflow,
    '-l:libtensorflow_cc.so.2',
    '-l:libtensorflow_framework.so.2',
    `-Wl,-rpath,$ORIGIN/${relative(dirname(paths.binding), paths.tensorflow)}`,
  ],
})
