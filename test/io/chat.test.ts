import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, test } from 'vitest'
import { loadTokenizer, orThrow, renderChat } from '../../src/io/index.ts'
import type { ChatMessage, ChatOptions } from '../../src/io/index.ts'
import { inFolder } from './trees.ts'

const fixtures = fileURLToPath(new URL('../fixtures/text', import.meta.url))

/** What transformers renders, at the date below: test/fixtures/text/make.py. */
const { chats } = JSON.parse(readFileSync(join(fixtures, 'expected.json'), 'utf8')) as {
  readonly chats: Readonly<
    Record<
      string,
      {
        readonly template: string
        readonly messages: readonly ChatMessage[]
        readonly tools: NonNullable<ChatOptions['tools']>
        readonly plain: string
        readonly prompt: string
      }
    >
  >
}
const date = new Date('2026-03-07T15:04:05Z')
const hello = [{ role: 'user', content: 'Hello' }]

const copy = (folder: string, config: object = {}) => {
  for (const file of ['tokenizer.json', 'tokenizer_config.json']) {
    const text = readFileSync(join(fixtures, 'llama3', file), 'utf8')
    const json = file === 'tokenizer.json' ? {} : config
    writeFileSync(join(folder, file), JSON.stringify({ ...JSON.parse(text), ...json }))
  }
}

const leftOf = async (template: string, messages: readonly ChatMessage[] = hello, options: ChatOptions = {}) => {
  const result = await renderChat(template, messages, options)()
  return E.isLeft(result) ? `${result.left[0]?._tag}: ${result.left[0]?.found}` : result.right
}

describe('a conversation', () => {
  test.each(Object.entries(chats))('is rendered by %s as transformers does', async (name, told) => {
    await inFolder(async (folder) => {
      copy(folder, { chat_template: told.template })
      const tokenizer = await orThrow(loadTokenizer(folder))
      expect(await orThrow(renderChat(tokenizer, told.messages, { date })), name).toBe(told.plain)
      const options = { date, tools: told.tools, addGenerationPrompt: true }
      expect(await orThrow(renderChat(tokenizer, told.messages, options)), name).toBe(told.prompt)
    })
  })

  test('templates of several names, and from files before those of the configuration', () =>
    inFolder(async (folder) => {
      const list = [
        { name: 'default', template: 'D' },
        { name: 'tool_use', template: 'T' },
      ]
      copy(folder, { chat_template: list })
      const several = await orThrow(loadTokenizer(folder))
      expect(await orThrow(renderChat(several, hello))).toBe('D')
      expect(await orThrow(renderChat(several, hello, { tools: [{}] }))).toBe('T')
      expect(await orThrow(renderChat(several, hello, { name: 'tool_use' }))).toBe('T')
      const wrong = await renderChat(several, hello, { name: 'tool_us' })()
      expect(E.isLeft(wrong) && wrong.left[0]).toMatchObject({ _tag: 'NoTemplate', hint: 'Did you mean "tool_use"?' })
      writeFileSync(join(folder, 'chat_template.jinja'), 'F')
      mkdirSync(join(folder, 'additional_chat_templates'))
      writeFileSync(join(folder, 'additional_chat_templates', 'rag.jinja'), '{{ documents[0].title }}')
      const fromFiles = await orThrow(loadTokenizer(folder))
      expect(fromFiles.chat).toEqual({ default: 'F', rag: '{{ documents[0].title }}' })
      expect(await orThrow(renderChat(fromFiles, hello, { name: 'rag', documents: [{ title: 'Ö' }] }))).toBe('Ö')
    }))

  test('a tokenizer without a template, and what a template complains of', async () => {
    const tokenizer = await orThrow(loadTokenizer(join(fixtures, 'llama3')))
    const none = await renderChat(tokenizer, hello)()
    expect(E.isLeft(none) && none.left[0]).toMatchObject({ _tag: 'NoTemplate', found: 'none at all' })
    const { template = '' } = chats['llama2'] ?? {}
    const odd = [...hello, ...hello]
    expect(await leftOf(template, odd, { extra: { bos_token: '<s>' } })).toBe(
      'ChatRefused: Conversation roles must alternate',
    )
  })

  test.each([
    ['a date that was not given', "{{ strftime_now('%d') }}", {}, 'NoDate: nothing'],
    ['a code there is not', "{{ strftime_now('%Q') }}", { date }, 'BadTemplate: %Q'],
    ['a date that is none', "{{ strftime_now('%d') }}", { date: new Date('x') }, 'BadDate: Invalid Date'],
    ['broken syntax', '{% for %}', {}, /^BadTemplate: /],
    ['an end that is missing', '{% if true %}', {}, /^BadTemplate: /],
    ['deep nesting', '{{ '.padEnd(200_000, '(') + ' }}', {}, /^(BadTemplate|TooLarge): /],
    ['an endless count', '{% for i in range(1000000000) %}x{% endfor %}', {}, /^BadTemplate: 1000000000$/],
    ['a count that never ends', '{% for i in range(0, 1, 0) %}x{% endfor %}', {}, /^BadTemplate: Infinity$/],
    ['a field that is missing', "{{ 'a' + messages[0].nothing }}", {}, /^BadTemplate: /],
  ] as const)('%s is an error', async (_, template, options, expected) => {
    expect(await leftOf(template, hello, options)).toMatch(expected)
  })

  test('has no line where only a block stood', async () => {
    expect(await leftOf('a\n  {% if true %}\nb\n  {% endif %}\nc')).toBe('a\nb\nc')
  })

  test('is given what else the template knows', async () => {
    expect(await leftOf('{{ enable_thinking }}{{ range(2, 8, 3) }}', hello, { extra: { enable_thinking: 1 } })).toBe(
      '1[2, 5]',
    )
  })
})
