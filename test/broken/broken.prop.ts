import { fc } from '@fast-check/vitest'
import { describe, expect, test } from 'vitest'
import { key, show } from '../../src/index.ts'
import { check, formatReport, runLaw, splittingLaws, trees } from '../../src/laws/index.ts'
import type { LawResult, Report, Splitting } from '../../src/laws/index.ts'
import { attachFaults } from './attach.ts'
import { bottleneckFaults } from './bottleneck.ts'
import type { Fault, Subject } from './broken.ts'
import { deltaFaults } from './deltas.ts'
import { encoderFaults } from './encoders.ts'
import { freezeFaults } from './freeze.ts'
import { loraFamilyFaults } from './lora-family.ts'
import { manyFaults } from './many.ts'
import { mergeFaults } from './merge.ts'
import { prefixFaults } from './prefix.ts'
import { promptFaults } from './prompt.ts'
import { quantizeFaults } from './quantize.ts'
import { rotationFaults } from './rotations.ts'
import { rightSplitting, splittingFaults } from './splitting.ts'

const faults: readonly Fault[] = [
  ...attachFaults,
  ...mergeFaults,
  ...freezeFaults,
  ...promptFaults,
  ...prefixFaults,
  ...encoderFaults,
  ...loraFamilyFaults,
  ...deltaFaults,
  ...rotationFaults,
  ...quantizeFaults,
  ...bottleneckFaults,
  ...manyFaults,
]

const checked = (
  { on, options, law: usual }: Fault,
  { transform, using, kinds, law = usual }: Subject,
  runs: number,
): Report => check(transform, { ...options, on, laws: [law], runs, ...(using && { using }), ...(kinds && { kinds }) })

// Bits, rows and labels of a small model are few; a counterexample longer than this was not shrunk.
const mostLines = 45

const caught: string[] = []
let runs = 0

const expectCounterexample = (name: string, result: LawResult | undefined): void => {
  expect(result?.counterexample, `${result?.name} has not caught it: ${result?.why ?? 'it holds'}`).toBeDefined()
  expect(result!.counterexample!.shown.split('\n').length).toBeLessThanOrEqual(mostLines)
  expect(result!.counterexample!.found.length).toBeLessThanOrEqual(400)
  const { found, shrinks } = result!.counterexample!
  caught.push(
    `${name}\n    ${result!.name}, run ${result!.runs}, made smaller ${shrinks} times: ${found.split('\n')[0]}`,
  )
  runs += result!.runs
}

describe.each(faults.map((fault) => [fault.name, fault] as const))('%s', (name, fault) => {
  test(`is caught by ${fault.law.name}`, () => {
    const report = checked(fault, fault.broken, 100)
    expect(report.passed, formatReport(report)).toBe(false)
    expectCounterexample(name, report.results[0])
  })

  test('and the same without the fault passes', () => {
    const report = checked(fault, fault.twin, 25)
    runs += report.runs
    expect(report.passed, formatReport(report)).toBe(true)
  })
})

describe('ways to split a model', () => {
  const drawing = fc
    .record({ tree: trees({ nonEmpty: true }), seed: fc.nat() })
    .map(({ tree, seed }) => ({ tree, key: key(seed) }))
  const run = (splitting: Splitting, name: string): LawResult =>
    runLaw(
      splittingLaws(splitting).find((law) => law.name === name)!,
      drawing,
      ({ tree }) => show(tree),
    )

  test.each(splittingFaults.map((fault) => [fault.name, fault] as const))('%s', (name, { broken, law }) => {
    expectCounterexample(name, run(broken, law))
    const twin = run(rightSplitting, law)
    runs += twin.runs
    expect(twin.passed, twin.why).toBe(true)
  })
})

test('every fault is caught, each by the law it belongs to', () => {
  console.log(`${caught.length} faults caught in ${runs} runs\n${caught.map((line) => `  ${line}`).join('\n')}`)
  expect(caught.length).toBe(faults.length + splittingFaults.length)
  expect(new Set(faults.map((fault) => fault.name)).size).toBe(faults.length)
})
