import { EspalierError } from '../../tree/error.ts'
import { didYouMean } from '../../tree/nearest.ts'
import { strftime } from './date.ts'
import { io, messageOf, reject } from '../issues.ts'
import type { Io } from '../issues.ts'
import type { Json } from '../json.ts'
import type { Tokenizer } from './tokenizer.ts'

/** One turn of a conversation; templates may look at other fields too. */
export interface ChatMessage {
  readonly role: string
  readonly content?: Json
  readonly [field: string]: Json | undefined
}

/** What a chat template is given besides the messages. */
export interface ChatOptions {
  /** Whether to end with the beginning of an answer, for a model to go on from. */
  readonly addGenerationPrompt?: boolean
  /** Descriptions of functions that the model may call, as JSON schemas. */
  readonly tools?: readonly Json[]
  readonly documents?: readonly Json[]
  /** Which of several templates; `tool_use` where there is one and tools are given, else `default`. */
  readonly name?: string
  /** What a template that asks for today's date is told, in UTC. */
  readonly date?: Date
  /** What else this template knows, `enable_thinking` for instance. */
  readonly extra?: Readonly<Record<string, Json>>
}

/** What is used of @huggingface/jinja. */
interface Jinja {
  readonly tokenize: (source: string, options: object) => readonly unknown[]
  readonly parse: (tokens: readonly unknown[]) => unknown
  readonly Environment: new () => { readonly set: (name: string, value: unknown) => unknown }
  readonly Interpreter: new (environment: unknown) => { readonly run: (program: unknown) => { readonly value: string } }
}

const importJinja = async (): Promise<Jinja> => {
  try {
    return await import('@huggingface/jinja')
  } catch (error) {
    const hint = 'Run "npm install @huggingface/jinja".'
    return reject('MissingPeer', '@huggingface/jinja', 'an installed package', messageOf(error), hint)
  }
}

const templateOf = ({ chat }: Tokenizer, { name, tools }: ChatOptions): string => {
  const wanted = name ?? (tools !== undefined && Object.hasOwn(chat, 'tool_use') ? 'tool_use' : 'default')
  if (Object.hasOwn(chat, wanted)) return chat[wanted]!
  const names = Object.keys(chat)
  return reject(
    'NoTemplate',
    'chat',
    `a chat template named "${wanted}"`,
    names.length === 0 ? 'none at all' : names.join(', '),
    names.length === 0
      ? 'Is this a tokenizer of a model for chats? If so, give renderChat the template as text.'
      : didYouMean(wanted, names),
  )
}

// More than any conversation has; a template that counts further would use up the memory.
const longestRange = 1_000_000

const range = (a: number, b?: number, step = 1): readonly number[] => {
  const [from, to] = b === undefined ? [0, a] : [a, b]
  const length = Math.max(0, Math.ceil((to - from) / step))
  if (!(length <= longestRange))
    reject('BadTemplate', 'range', `at most ${longestRange} numbers`, String(length), 'No conversation is as long.')
  return Array.from({ length }, (_, i) => from + i * step)
}

const dated =
  (date: Date | undefined) =>
  (format: unknown): string =>
    strftime(
      date ??
        reject('NoDate', 'date', 'a date', 'nothing', 'This template writes the date; give { date: new Date() }.'),
      String(format),
    )

const refused = (message: unknown): never =>
  reject('ChatRefused', 'messages', 'a conversation that the template takes', String(message), 'See the template.')

/**
 * A conversation as the text that a model was trained on, by a chat template: that of a tokenizer, or one given as text.
 *
 * The text has the special tokens in it: encode it without `special`. Nothing but `date` tells a template the time.
 * Needs the package @huggingface/jinja. Errors: `MissingPeer`, `NoTemplate`, `BadTemplate`, `ChatRefused` with what the
 * template itself complains of, `NoDate`.
 *
 * @example
 * ```ts
 * import { orThrow, renderChat } from 'espalier/io'
 *
 * const template = '{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}<bot>{% endif %}'
 * const messages = [{ role: 'user', content: 'Hello?' }]
 * await orThrow(renderChat(template, messages, { addGenerationPrompt: true })) // => '<user>Hello?\n<bot>'
 * const refused = await renderChat('{{ raise_exception("no system role") }}', messages)()
 * refused._tag === 'Left' && refused.left[0]?.found // => 'no system role'
 * ```
 */
export const renderChat = (
  source: Tokenizer | string,
  messages: readonly ChatMessage[],
  options: ChatOptions = {},
): Io<string> =>
  io('chat', async () => {
    const template = typeof source === 'string' ? source : templateOf(source, options)
    const special = typeof source === 'string' ? {} : source.special
    const { tokenize, parse, Environment, Interpreter } = await importJinja()
    const names = {
      ...Object.fromEntries(Object.entries(special).map(([role, { token }]) => [`${role}_token`, token])),
      ...options.extra,
      messages,
      tools: options.tools ?? null,
      documents: options.documents ?? null,
      add_generation_prompt: options.addGenerationPrompt ?? false,
      raise_exception: refused,
      strftime_now: dated(options.date),
      range,
      true: true,
      false: false,
      none: null,
      True: true,
      False: false,
      None: null,
    }
    try {
      const program = parse(tokenize(template, { lstrip_blocks: true, trim_blocks: true }))
      const environment = new Environment()
      for (const [name, value] of Object.entries(names)) environment.set(name, value)
      return new Interpreter(environment).run(program).value
    } catch (error) {
      if (error instanceof EspalierError) throw error
      return reject(
        'BadTemplate',
        'chat',
        'a template that @huggingface/jinja can render for these messages',
        messageOf(error),
        'Is a field missing in a message, or does the template use what that package does not know?',
      )
    }
  })
