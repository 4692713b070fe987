import { readFile } from 'node:fs/promises'
import type { Tokenizer } from '../io/index.ts'
import type { Issue } from '../tree/error.ts'
import { didYouMean } from '../tree/nearest.ts'
import { refuse, usage } from './errors.ts'

/** One line of a data file. */
interface Line {
  readonly text: string
  readonly label?: string
}

/** A file of JSON lines, each with a text and, to classify, a label; all bad lines at once. */
const readLines = async (path: string, labels: readonly string[] | undefined): Promise<readonly Line[]> => {
  const text = await readFile(path, 'utf8').catch((e: NodeJS.ErrnoException) => {
    throw usage(path, 'a data file', e.code === 'ENOENT' ? 'no such file' : e.message, 'Check the path.')
  })
  const issues: Issue[] = []
  const bad = (i: number, expected: string, found: string, hint: string): void =>
    void issues.push({ _tag: 'BadData', path: `${path}:${i + 1}`, expected, found, hint })
  const lines = text.split('\n').flatMap((line, i) => {
    if (line.trim() === '') return []
    const json = parsed(line)
    if (typeof json?.text !== 'string' || json.text.trim() === '') bad(i, '{"text": …} as JSON', line.slice(0, 60), '')
    else if (labels !== undefined && !labels.includes(String(json.label)))
      bad(i, 'one of the labels', `"${String(json.label)}"`, didYouMean(String(json.label), labels))
    return json === undefined ? [] : [json]
  })
  if (lines.length === 0 && issues.length === 0) bad(0, 'at least one line', 'an empty file', '')
  return issues.length > 0 ? refuse(issues.slice(0, 20)) : lines
}

const parsed = (line: string): Line | undefined => {
  try {
    return JSON.parse(line) as Line
  } catch {
    return undefined
  }
}

/** Texts as token ids, and which of the labels each has. */
export const readClassified = async (
  path: string,
  tokenizer: Tokenizer,
  labels: readonly string[],
): Promise<readonly { readonly ids: readonly number[]; readonly label: number }[]> =>
  (await readLines(path, labels)).map(({ text, label }) => ({
    ids: [...tokenizer.encode(text, { special: true })],
    label: labels.indexOf(label ?? ''),
  }))

/** Texts as token ids. */
export const readTexts = async (
  path: string,
  tokenizer: Tokenizer,
): Promise<readonly { readonly ids: readonly number[] }[]> =>
  (await readLines(path, undefined)).map(({ text }) => ({ ids: [...tokenizer.encode(text, { special: true })] }))
