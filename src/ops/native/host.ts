import { readFileSync, statfsSync } from 'node:fs'
import { makeDirectory } from './files.ts'
import type { Host } from './plan.ts'
import { run } from './process.ts'

const glibcVersion = (): string | null => {
  const header: unknown = (process.report?.getReport() as { readonly header?: unknown } | undefined)?.header
  const version = (header as { readonly glibcVersionRuntime?: unknown } | undefined)?.glibcVersionRuntime
  return typeof version === 'string' ? version : null
}

const hasAvx = (): boolean => {
  try {
    return /^flags.*\bavx\b/m.test(readFileSync('/proc/cpuinfo', 'utf8'))
  } catch {
    return true
  }
}

/** The C++ compiler that `CXX` names, else g++. */
export const compilerOf = (environment: NodeJS.ProcessEnv): string => environment['CXX'] || 'g++'

/** Looks at this machine. Creates `root`, because free space is a property of the disk that it lies on. */
export const inspectHost = async (root: string, environment: NodeJS.ProcessEnv = process.env): Promise<Host> => {
  makeDirectory(root)
  const disk = statfsSync(root)
  const found = async (name: string, ...args: readonly string[]): Promise<string | null> =>
    (await run({ file: name, args }, environment)).code === 0 ? name : null
  return {
    platform: process.platform,
    arch: process.arch,
    glibc: process.platform === 'linux' ? glibcVersion() : null,
    avx: hasAvx(),
    freeBytes: disk.bavail * disk.bsize,
    npm: await found('npm', '--version'),
    pip: await found('python3', '-m', 'pip', '--version'),
    compiler: await found(compilerOf(environment), '--version'),
  }
}
