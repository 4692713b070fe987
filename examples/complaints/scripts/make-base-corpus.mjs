// Writes data/base.txt, unlabelled customer-service prose from a seeded grammar:
//   node make-base-corpus.mjs [lines] [seed] [file]
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { frames, shared } from './base-lexicon.mjs'
import { goods } from './base-topics-goods.mjs'
import { services } from './base-topics-services.mjs'

const topics = Object.values({ ...goods, ...services })

// mulberry32: the same numbers on every machine, so the file can be made again bit for bit.
const generator = (seed) => {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

const [lines = '12000', seed = '8', file = fileURLToPath(new URL('../data/base.txt', import.meta.url))] =
  process.argv.slice(2)
const random = generator(Number(seed))
const pick = (items) => items[Math.floor(random() * items.length)]

// Slots open before choices, one at a time, so that two [thing]s in a sentence are drawn apart.
const expand = (pattern, lexicon) => {
  let text = pattern
  while (/[[{]/.test(text)) {
    text = text.replace(/\{([^{}[\]]*)\}/g, (_, choices) => pick(choices.split('|')))
    text = text.replace(/\[(\w+)\]/, (slot, name) => {
      if (!lexicon[name]) throw new Error(`the grammar has no words for ${slot} in: ${pattern}`)
      return pick(lexicon[name])
    })
  }
  return text
    .replace(/\s+/g, ' ')
    .replace(/ ([,?.!])/g, '$1')
    .replace(/\ba (?=[aeio])/g, 'an ')
    .trim()
}

const openers =
  'could can would how where is am when what do does are which will why may who should must (?:in|from)\\swhich until\\swhen'
const questions = new RegExp(`^(${openers.replaceAll(' ', '|')})\\b`)

const sentence = (mood, topic, pattern) => {
  const text = expand(pattern, { ...shared, ...topic })
  const asks = questions.test(text)
  const polite = mood === 'ask' && !asks
  return text + (asks ? '?' : polite ? '.' : pick(['.', '.', '.', '!']))
}

// A line keeps one topic and one mood; a question goes with thanks more often than with anger, as in real mail.
const moods = [
  ['good', 'good'],
  ['bad', 'bad'],
  ['ask', 'ask'],
  ['good', 'good', 'good'],
  ['bad', 'bad', 'bad'],
  ['ask', 'good'],
  ['good', 'good'],
  ['bad', 'bad'],
  ['bad', 'bad', 'bad'],
  ['ask', 'ask'],
]
const line = () => {
  const topic = pick(topics)
  const used = new Set()
  const fresh = (mood) => {
    const pattern = pick(random() < 0.5 ? topic[mood] : frames[mood])
    return used.has(pattern) ? fresh(mood) : (used.add(pattern), pattern)
  }
  return pick(moods)
    .map((mood) => sentence(mood, topic, fresh(mood)))
    .join(' ')
}

const corpus = Array.from({ length: Number(lines) }, line)
writeFileSync(file, corpus.join('\n') + '\n')
console.log(
  `${corpus.length} lines, ${corpus.join('\n').length} bytes, ` +
    `${new Set(corpus.join(' ').match(/[a-z']+/g)).size} distinct words → ${file}`,
)
