import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { installNative } from '../../../src/ops/native/install.ts'
import type { NativeInstallation } from '../../../src/ops/native/install.ts'
import { backendMends, mended } from '../../../src/ops/native/mend.ts'
import { nativePaths } from '../../../src/ops/native/location.ts'
import { run } from '../../../src/ops/native/process.ts'
import { formatIssues } from '../../../src/tree/error.ts'

// Only failures are tested with programs of our own: a whole installation downloads 232 MB.
const linuxX64 = process.platform === 'linux' && process.arch === 'x64'
let directory = ''
let root = ''
let programs = ''

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'espalier-install-'))
  root = join(directory, 'engine')
  programs = join(directory, 'bin')
  mkdirSync(programs)
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const program = (name: string, script: string): void => {
  writeFileSync(join(programs, name), `#!/bin/sh\n${script}\n`)
  chmodSync(join(programs, name), 0o755)
}

const install = async (): Promise<{ readonly result: NativeInstallation; readonly lines: string }> => {
  let lines = ''
  const write = (text: string): void => {
    lines += text
  }
  return { result: await installNative({ root, environment: { PATH: programs }, write }), lines }
}

const message = (result: NativeInstallation): string => (result.ok ? 'installed' : formatIssues(result.issues))

/** An npm that gives the sources of a binding, without which no later step is reached. */
const fetchesPackageOf = (backend: string): string => `
case "$1" in --version) exit 0;; esac
binding="$3/node_modules/@tensorflow/tfjs-node/binding"
/bin/mkdir -p "$binding" && echo > "$binding/tfjs_binding.cc"
/bin/cat > "$binding/tfjs_backend.cc" <<'END'
${backend}
END`
const fetchesPackage = fetchesPackageOf(backendMends.map(({ from }) => from).join(''))

describe.runIf(linuxX64)('an installation that cannot succeed', () => {
  it('names every missing program at once and how to get it, and downloads nothing', async () => {
    const { result, lines } = await install()
    expect(message(result)).toMatch(
      /npm.*python3 with pip.*apt-get install python3.*C\+\+17 compiler.*apt-get install g\+\+/s,
    )
    expect(lines).toBe('')
    expect(readdirSync(root)).toEqual([])
  })

  it('takes a compiler that does not run for a missing one', async () => {
    program('npm', 'exit 0')
    program('python3', 'exit 0')
    program('g++', 'exit 1')
    const { result } = await install()
    expect(result.ok ? [] : result.issues.map(({ _tag, path }) => [_tag, path])).toEqual([['MissingProgram', 'g++']])
  })

  it('says which download failed with its last lines, and leaves nothing half done', async () => {
    program('npm', '[ "$1" = --version ] || { echo half > "$3/part"; echo "no route to the registry" >&2; exit 7; }')
    program('python3', 'exit 0')
    program('g++', 'exit 0')
    const { result, lines } = await install()
    expect(message(result)).toMatch(/DownloadFailed at npm.*exit code 7: no route to the registry.*run it again/s)
    expect(lines).toMatch(/^1\/4 .*failed\n$/)
    expect(existsSync(nativePaths(root).project)).toBe(false)
  })

  it('keeps what is finished and needs its program no more', async () => {
    program('npm', fetchesPackage)
    program('python3', '[ "$3" = --version ] || { echo "disk quota exceeded" >&2; exit 1; }')
    program('g++', 'exit 0')
    expect(message((await install()).result)).toMatch(/DownloadFailed at python3.*disk quota exceeded/s)
    rmSync(join(programs, 'npm'))
    const { result, lines } = await install()
    expect(lines).toMatch(/1\/4 .*already there\n2\/4 .*failed\n$/)
    expect(message(result)).toMatch(/DownloadFailed at python3/)
  })

  it('never takes a binding for ready that could not be loaded', async () => {
    program('npm', fetchesPackage)
    const paths = nativePaths(root)
    mkdirSync(paths.tensorflow, { recursive: true })
    program('g++', 'while [ $# -gt 0 ]; do [ "$1" = -o ] && echo "not a library" > "$2"; shift; done')
    const { result } = await install()
    expect(message(result)).toMatch(/CheckFailed.*Delete .*engine and run it again/s)
    expect(existsSync(paths.binding)).toBe(true)
    expect(existsSync(paths.stamp)).toBe(false)
  })

  it('mends a copy of the binding, and leaves what was fetched as it is', async () => {
    program('npm', fetchesPackage)
    mkdirSync(nativePaths(root).tensorflow, { recursive: true })
    program(
      'g++',
      `[ "$1" = --version ] && exit
while [ $# -gt 0 ]; do
  [ "$1" = -iquote ] && headers=$2 && echo "$2" > ${directory}/headers
  [ "$1" = -c ] && [ -n "$headers" ] && /bin/cp "$2" ${directory}/compiled
  [ "$1" = -o ] && echo > "$2"; shift
done`,
    )
    await install()
    const binding = join(nativePaths(root).tfjsNode, 'binding')
    const original = readFileSync(join(binding, 'tfjs_backend.cc'), 'utf8')
    expect(mended(original, backendMends)).toEqual({
      ok: true,
      text: readFileSync(join(directory, 'compiled'), 'utf8'),
    })
    expect(readFileSync(join(directory, 'headers'), 'utf8').trim()).toBe(binding)
  })

  it('compiles no binding that has another text where it is to be mended', async () => {
    program('npm', fetchesPackageOf('int main() {}'))
    mkdirSync(nativePaths(root).tensorflow, { recursive: true })
    program('g++', 'exit 0')
    const { result } = await install()
    expect(message(result)).toMatch(/SourceChanged at .*tfjs_backend\.cc.*splitStringByComma.*tfjs-node 4\.22\.0/s)
    expect(existsSync(nativePaths(root).binding)).toBe(false)
  })

  it('goes without the kernels of espalier where they do not compile, and says so', async () => {
    program('npm', fetchesPackage)
    mkdirSync(nativePaths(root).tensorflow, { recursive: true })
    program(
      'g++',
      `case "$*" in *simd-gemm*) echo "gemm.h: no such instruction" >&2; exit 1;; esac
while [ $# -gt 0 ]; do [ "$1" = -o ] && echo "$@" > "$2"; shift; done`,
    )
    const { result, lines } = await install()
    expect(lines).toMatch(/without the kernels of espalier \(exit code 1: gemm\.h: no such instruction\)/)
    // It came as far as the check, which this binding cannot pass.
    expect(message(result)).toMatch(/CheckFailed/)
  })

  it('sweeps what killed runs have left', async () => {
    const { signal } = await run({ file: '/bin/sh', args: ['-c', 'kill -9 $$'] }, {})
    expect(signal).toBe('SIGKILL')
    const ended = await run({ file: '/bin/sh', args: ['-c', 'echo $$'] }, {})
    mkdirSync(join(root, `temporary-${ended.output}-project`), { recursive: true })
    mkdirSync(join(root, `temporary-${process.ppid}-project`), { recursive: true })
    program('npm', '[ "$1" = --version ]')
    program('python3', 'exit 0')
    program('g++', 'exit 0')
    await install()
    expect(readdirSync(root)).toEqual([`temporary-${process.ppid}-project`])
  })

  it('says so when its directory cannot be written', async () => {
    writeFileSync(root, 'a file stands here')
    const { result } = await install()
    expect(message(result)).toMatch(/InstallationFailed.*ESPALIER_NATIVE_DIR/s)
  })

  it('gives up at once where no directory can be made', async () => {
    const refused = await installNative({
      root: '/proc/espalier/engine',
      environment: { PATH: programs },
      write: () => {},
    })
    expect(message(refused)).toMatch(/InstallationFailed.*ESPALIER_NATIVE_DIR/s)
  })
})

describe('npm run native', () => {
  it('ends with one readable message and exit code 1 where the engine cannot be installed', async () => {
    const environment = { PATH: programs, ESPALIER_NATIVE_DIR: root }
    const ended = await run({ file: process.execPath, args: ['scripts/native.mjs'] }, environment)
    expect(ended.code).toBe(1)
    expect(ended.tail).toMatch(/MissingProgram at npm|UnsupportedPlatform/)
    expect(ended.tail).not.toMatch(/^ +at /m)
  })
})
