/** Contestants side by side in one run: each is a process, asked in turn, in alternating order. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/** A process to be measured. */
export interface Contestant {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

/** What was measured of one. */
export interface Measured {
  readonly name: string
  readonly about: Readonly<Record<string, string | number>>
  /** Milliseconds of each step that counts. */
  readonly ms: readonly number[]
  /** The figures of the first steps, which all contestants must agree on. */
  readonly values: readonly number[]
  /** The best milliseconds of each part. */
  readonly parts: Readonly<Record<string, number>>
  readonly peakMb?: number
  /** Why there is nothing more. */
  readonly failed?: string
}

interface Answer {
  readonly about?: Measured['about']
  readonly ms?: number
  readonly value?: number
  readonly parts?: Readonly<Record<string, number>>
  readonly peakMb?: number
  readonly error?: string
}

const minutes = 60_000
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** A contestant's process: each question gives the next line of JSON that it answers. */
const launch = ({ command, args, env }: Contestant) => {
  const child = spawn(command, [...args], { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] })
  const waiting: ((answer: Answer) => void)[] = []
  const come: Answer[] = []
  let last = ''
  const deliver = (answer: Answer): void => {
    const next = waiting.shift()
    if (next) next(answer)
    else come.push(answer)
  }
  child.stderr.on('data', (text: Buffer) => (last = text.toString().trim().split('\n').at(-1) ?? last))
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line.startsWith('{')) deliver(JSON.parse(line) as Answer)
  })
  child.on('error', (error) => deliver({ error: error.message }))
  child.on('close', (code, signal) => deliver({ error: `it ended by ${signal ?? `code ${code}`}: ${last}` }))
  child.stdin.on('error', () => undefined)
  const answer = (): Promise<Answer> => {
    const early = come.shift()
    if (early) return Promise.resolve(early)
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve({ error: 'no answer in ten minutes' }), 10 * minutes)
      waiting.push((found) => {
        clearTimeout(timer)
        resolve(found)
      })
    })
  }
  const ask = (line: string): Promise<Answer> => {
    child.stdin.write(`${line}\n`)
    return answer()
  }
  return { answer, ask, end: () => void child.kill('SIGKILL') }
}

type Process = ReturnType<typeof launch>

interface Lane {
  readonly contestant: Contestant
  readonly process: Process
  measured: Measured
}

const stepOf = async (lane: Lane, counts: boolean): Promise<void> => {
  const { measured } = lane
  if (measured.failed !== undefined) return
  const { error, ms = 0, value, parts = {} } = await lane.process.ask('step')
  const best = Object.entries(parts).map(([name, x]) => [name, Math.min(x, measured.parts[name] ?? Infinity)])
  lane.measured = {
    ...measured,
    ...(error === undefined ? {} : { failed: error }),
    ms: counts && error === undefined ? [...measured.ms, ms] : measured.ms,
    values: value === undefined || measured.values.length >= 3 ? measured.values : [...measured.values, value],
    parts: { ...measured.parts, ...Object.fromEntries(best) },
  }
}

/** How long a step takes once warm decides how many are done at each turn, so that short ones are no lottery. */
const turns = (ms: number): number => Math.max(1, Math.min(10, Math.round(300 / ms)))

/** Measures contestants: two steps that warm up, then rounds, forward and backward in turn. */
export const contest = async (contestants: readonly Contestant[], rounds: number): Promise<readonly Measured[]> => {
  const lanes: Lane[] = []
  try {
    for (const contestant of contestants) {
      const process = launch(contestant)
      const { about = {}, error } = await process.answer()
      const measured: Measured = { name: contestant.name, about, ms: [], values: [], parts: {} }
      lanes.push({ contestant, process, measured: error === undefined ? measured : { ...measured, failed: error } })
    }
    const repeats = new Map<Lane, number>()
    for (const lane of lanes) {
      await stepOf(lane, false)
      const start = performance.now()
      await stepOf(lane, false)
      repeats.set(lane, turns(performance.now() - start))
    }
    for (let round = 0; round < rounds; round++)
      for (const lane of round % 2 === 0 ? lanes : lanes.toReversed()) {
        // What the one before still spins on, or frees late, is not this one's.
        await pause(100)
        for (let i = 0; i < (repeats.get(lane) ?? 1); i++) await stepOf(lane, true)
      }
    for (const lane of lanes) {
      if (lane.measured.failed !== undefined) continue
      const { peakMb } = await lane.process.ask('quit')
      if (peakMb !== undefined) lane.measured = { ...lane.measured, peakMb }
    }
  } finally {
    for (const { process } of lanes) process.end()
  }
  return lanes.map(({ measured }) => measured)
}

export const bestOf = (all: readonly number[]): number => Math.min(...all)

export const medianOf = (all: readonly number[]): number => all.toSorted((a, b) => a - b)[all.length >> 1] ?? NaN
