// Fails unless @huggingface/tokenizers gives the ids that the Python library gave, for every text of the data
// and for the probes.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Tokenizer } from '@huggingface/tokenizers'

const read = (name) => readFileSync(new URL(`../${name}`, import.meta.url), 'utf8')
const json = (name) => JSON.parse(read(name))
const tokenizer = new Tokenizer(json('tokenizer/tokenizer.json'), json('tokenizer/tokenizer_config.json'))
const reference = json('tokenizer/reference.json')
const idsOf = (text) => tokenizer.encode(text).ids
const problems = []

for (const [file, expected] of Object.entries(reference.files)) {
  const lines = read(`data/${file}`).trimEnd().split('\n')
  const ids = lines.map((line) => idsOf(file.endsWith('.jsonl') ? JSON.parse(line).text : line))
  const digest = createHash('sha256')
    .update(ids.map((row) => row.join(',')).join('\n'))
    .digest('hex')
  if (digest !== expected) problems.push(`${file}: the ids differ from those of Python`)
  const unknown = ids.flat().filter((id) => id === 1).length
  const longest = Math.max(...ids.map((row) => row.length))
  if (longest > 48) problems.push(`${file}: a text has ${longest} tokens, 48 fit`)
  console.log(`${file}: ${ids.length} texts, at most ${longest} tokens, ${unknown} unknown`)
}

for (const { text, ids } of reference.probes) {
  const found = idsOf(text)
  if (found.join() !== ids.join()) problems.push(`${JSON.stringify(text)}: Python ${ids.join()}, here ${found.join()}`)
}

for (const [id, token] of ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '<complaint>', '<no_complaint>'].entries()) {
  if (tokenizer.token_to_id(token) !== id) problems.push(`${token} has id ${tokenizer.token_to_id(token)}, not ${id}`)
}

for (const problem of problems) console.error(`✗ ${problem}`)
console.log(problems.length === 0 ? '✓ the same ids as Python' : `✗ ${problems.length} problems`)
process.exitCode = problems.length === 0 ? 0 : 1
