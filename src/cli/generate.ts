import { loadGeneration, loadTokenizer, orThrow, streamText } from '../io/index.ts'
import type { GeneratedText, Prompt, TextPiece } from '../io/index.ts'
import type { Model } from '../kind/index.ts'
import { writeJson } from '../io/json.ts'
import type { Json } from '../io/json.ts'
import { key } from '../tree/key.ts'
import { startEngine, tellEngine } from './engine.ts'
import { EspalierError } from '../tree/error.ts'
import { refuse, usage } from './errors.ts'
import { numberOf, readFlags, required } from './flags.ts'
import { openAdapted } from './open.ts'

export const generateHelp = `espalier generate --model DIR [--adapter DIR] --prompt TEXT [--prompt TEXT …]
  Continues texts, and prints what follows each as it comes.
  --tokenizer DIR         a folder with tokenizer.json; that of the model by default
  --chat                  each prompt is what a user says, for the chat template of the tokenizer
  --system TEXT           what such a conversation begins with
  --max-new-tokens N      the most tokens that are added; 64 by default
  --temperature X         what logits are divided by; 0, the default, takes the likeliest token always
  --top-k N, --top-p X    only the likeliest tokens may be drawn, at temperature 1 unless told otherwise
  --repetition-penalty X  above 1, tokens that are there already become less likely
  --defaults              samples as generation_config.json says, where no flag says otherwise
  --stop TEXT             a text at which to end, itself no part of it; may be given more than once
  --seed N                what is drawn by; 0 by default
  --json                  prints prompts, texts, token ids and why each text ended as JSON instead`

const flags = {
  model: { type: 'string' },
  adapter: { type: 'string' },
  tokenizer: { type: 'string' },
  prompt: { type: 'string', multiple: true },
  chat: { type: 'boolean', default: false },
  system: { type: 'string' },
  'max-new-tokens': { type: 'string' },
  temperature: { type: 'string' },
  'top-k': { type: 'string' },
  'top-p': { type: 'string' },
  'repetition-penalty': { type: 'string' },
  defaults: { type: 'boolean', default: false },
  stop: { type: 'string', multiple: true },
  seed: { type: 'string' },
  json: { type: 'boolean', default: false },
} as const

const whole = (n: number): boolean => Number.isSafeInteger(n) && n > 0

const present = <A extends object>(fields: A): { readonly [K in keyof A]?: Exclude<A[K], undefined> } =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never

/** What is printed: each text below its prompt where there are several, in their order, and while it is made once its turn has come. */
async function* inTurn(
  pieces: AsyncIterable<TextPiece>,
  prompts: readonly string[],
): AsyncGenerator<string, void, void> {
  const waiting = prompts.map((prompt, i) => (prompts.length === 1 ? '' : `${i === 0 ? '' : '\n\n'}> ${prompt}\n`))
  const done = new Set<number>()
  let turn = 0
  for await (const { index, text, ended } of pieces) {
    waiting[index] += text
    if (ended !== undefined) done.add(index)
    const last = turn
    while (done.has(turn) && turn + 1 < prompts.length) turn++
    yield waiting.slice(last, turn + 1).join('')
    waiting.fill('', last, turn + 1)
  }
}

/** What a model complains of when it reads a prompt, at the flag that it came from. */
async function* ofPrompts<A>(pieces: AsyncIterable<A>): AsyncGenerator<A, void, void> {
  try {
    yield* pieces
  } catch (error) {
    if (!(error instanceof EspalierError)) throw error
    const isRead = (tag: string): boolean => tag === 'OutOfRange' || tag === 'ContextOverflow'
    refuse(error.issues.map((i) => (isRead(i._tag) ? { ...i, path: '--prompt' } : i)))
  }
}

/** The `generate` command: writes texts as they come, or returns them as JSON. */
export const generate = async (args: readonly string[], write: (text: string) => void): Promise<string> => {
  const values = readFlags('generate', args, flags)
  const model = required('generate', 'model', values.model)
  const { prompt: texts = [], adapter, chat, system, stop = [], json } = values
  if (texts.length === 0) throw usage('--prompt', 'a text', 'nothing', 'See `espalier generate --help`.')
  if (system !== undefined && !chat) throw usage('--system', '--chat beside it', 'none', 'A system text is of a chat.')
  if (stop.includes('')) throw usage('--stop', 'a text', 'an empty one', 'It would end every text before it begins.')
  const draws = values['top-k'] !== undefined || values['top-p'] !== undefined
  const temperature = numberOf('temperature', values.temperature, 'a number >= 0', (n) => n >= 0)
  const options = present({
    temperature: temperature ?? (draws && !values.defaults ? 1 : undefined),
    topK: numberOf('top-k', values['top-k'], 'a positive whole number', whole),
    topP: numberOf('top-p', values['top-p'], 'a number in (0, 1]', (n) => n > 0 && n <= 1),
    repetitionPenalty: numberOf('repetition-penalty', values['repetition-penalty'], 'a positive number', (n) => n > 0),
  })
  const maxNewTokens = numberOf('max-new-tokens', values['max-new-tokens'], 'a positive whole number', whole) ?? 64
  const seed = numberOf('seed', values.seed, 'a whole number', Number.isSafeInteger) ?? 0

  const tokenizer = await orThrow(loadTokenizer(values.tokenizer ?? model))
  const opened = await openAdapted(model, adapter)
  const { task = 'causal-lm', family } = opened.pretrained ?? {}
  if (task !== 'causal-lm')
    throw usage(
      `${model}/config.json#architectures`,
      'a language model',
      `${family} for ${task}`,
      'Give a model that goes on with texts.',
    )
  const said =
    opened.pretrained === undefined ? {} : await orThrow(loadGeneration(model, { sampling: values.defaults }))
  const before = system === undefined ? [] : [{ role: 'system', content: system }]
  const prompts = texts.map((text): Prompt => (chat ? [...before, { role: 'user', content: text }] : text))
  const engine = await startEngine()
  const all = { ...said, ...options, maxNewTokens, stop, key: key(seed) }
  const pieces = ofPrompts(streamText(opened.model as Model, tokenizer, prompts, all))
  if (json) {
    const made: GeneratedText[] = []
    for await (const { index, ended } of pieces) if (ended !== undefined) made[index] = ended
    tellEngine(engine)
    return writeJson({ texts: made } as unknown as Json)
  }
  let isFirst = true
  for await (const text of inTurn(pieces, texts)) {
    if (isFirst) tellEngine(engine)
    isFirst = false
    write(text)
  }
  return ''
}
