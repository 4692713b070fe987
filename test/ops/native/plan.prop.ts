import { fc, test } from '@fast-check/vitest'
import { expect } from 'vitest'
import { kernelSources, neededBytes, obstacles, steps } from '../../../src/ops/native/plan.ts'
import type { Host } from '../../../src/ops/native/plan.ts'

const program = (name: string): fc.Arbitrary<string | null> => fc.constantFrom(name, null)
const host: fc.Arbitrary<Host> = fc.record({
  platform: fc.constantFrom('linux', 'linux', 'darwin', 'win32'),
  arch: fc.constantFrom('x64', 'x64', 'arm64'),
  glibc: fc.constantFrom('2.36', '2.36', null),
  avx: fc.boolean(),
  freeBytes: fc.double({ min: 0, max: 3 * neededBytes, noNaN: true }),
  npm: program('npm'),
  pip: program('python3'),
  compiler: program('g++'),
})
const able: Host = {
  platform: 'linux',
  arch: 'x64',
  glibc: '2.36',
  avx: true,
  freeBytes: 3 * neededBytes,
  npm: 'npm',
  pip: 'python3',
  compiler: 'g++',
}

test.prop([host, fc.subarray([...steps])])('what stops some steps stops all steps', (machine, todo) => {
  const all = obstacles(machine, steps, '/r').map((issue) => issue.path)
  expect(all).toEqual(expect.arrayContaining(obstacles(machine, todo, '/r').map((issue) => issue.path)))
})

test.prop([fc.subarray(['npm', 'pip', 'compiler'] as const)])(
  'each missing program is named, all at once',
  (missing) => {
    const machine = { ...able, ...Object.fromEntries(missing.map((name) => [name, null])) }
    const named = { npm: 'npm', pip: 'python3', compiler: 'g++' }
    expect(obstacles(machine, steps, '/r').map((issue) => issue.path)).toEqual(missing.map((name) => named[name]))
  },
)

test.prop([host])('a machine without obstacles has everything; every obstacle says what to do', (machine) => {
  const issues = obstacles(machine, steps, '/r')
  if (issues.length === 0) {
    expect(machine).toMatchObject({ platform: 'linux', arch: 'x64', glibc: '2.36', avx: true })
    expect(machine.freeBytes).toBeGreaterThanOrEqual(neededBytes)
  }
  for (const issue of issues)
    expect([issue.expected, issue.found, issue.hint].every((text) => text.length > 0)).toBe(true)
})

test.prop([fc.uniqueArray(fc.stringMatching(/^(simd-)?[a-z]{1,5}\.(cc|h)$/))])(
  'each kernel is compiled once, and those with SIMD once for each set of instructions',
  (names) => {
    const compiled = kernelSources('/k', names).map(({ file, flags }) => [
      file,
      flags.find((flag) => flag.startsWith('-D')),
    ])
    const expected = names
      .filter((name) => name.endsWith('.cc'))
      .flatMap((name) =>
        name.startsWith('simd-')
          ? ['base', 'avx2', 'avx512'].map((isa) => [`/k/${name}`, `-DESPALIER_ISA=${isa}`])
          : [[`/k/${name}`, undefined]],
      )
    expect(compiled).toEqual(expected)
  },
)
