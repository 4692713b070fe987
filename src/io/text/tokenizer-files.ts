import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isRecord } from '../codec.ts'
import { describe, inFile, reject } from '../issues.ts'
import { orAbsent, readJson, readText } from '../json-file.ts'

/** A token that a model gives a meaning to. */
export interface SpecialToken {
  readonly token: string
  readonly id: number
}

/** What each special token is for. */
export const roles = ['bos', 'eos', 'pad', 'unk', 'cls', 'sep', 'mask'] as const

/** The special tokens of a tokenizer by what they are for; those that it has none of are absent. */
export type SpecialTokens = { readonly [R in (typeof roles)[number]]?: SpecialToken }

/** Where padding goes, and which end of a text is cut. */
export type Side = 'left' | 'right'

/** A special token as a file names it. */
export interface NamedToken {
  readonly role: (typeof roles)[number]
  readonly content: string
  /** How it is found in a text, where the file says so. */
  readonly found: Readonly<Record<string, unknown>>
  readonly path: string
}

/** What tokenizer_config.json and the files beside it say. */
export interface TokenizerConfig {
  readonly named: readonly NamedToken[]
  readonly added: readonly unknown[]
  readonly maxLength?: number
  readonly paddingSide: Side
  readonly truncationSide: Side
  readonly cleans: boolean
  readonly chat: Readonly<Record<string, string>>
}

const tooLarge = 'No tokenizer is as large as that.'

/** Reads the JSON of a tokenizer. */
export const readTokenizerJson = (path: string): Promise<unknown> => readJson(path, tooLarge)

const readObject = async (path: string): Promise<Readonly<Record<string, unknown>>> => {
  const json = (await orAbsent(readTokenizerJson(path))) ?? {}
  return isRecord(json) ? json : wrong(path, 'an object', json)
}

const wrong = (path: string, expected: string, found: unknown): never =>
  reject('BadJson', path, expected, describe(found), "See the tokenizer's own files.")

const namedIn = (config: Readonly<Record<string, unknown>>, file: string): readonly NamedToken[] =>
  roles.flatMap((role) => {
    const value = config[`${role}_token`]
    const path = inFile(file, `${role}_token`)
    if (value === undefined || value === null || value === false) return []
    if (typeof value === 'string') return [{ role, content: value, found: {}, path }]
    return isRecord(value) && typeof value['content'] === 'string'
      ? [{ role, content: value['content'], found: value, path }]
      : wrong(path, 'a token', value)
  })

const addedIn = (decoder: unknown, file: string): readonly unknown[] => {
  if (decoder === undefined || decoder === null) return []
  if (!isRecord(decoder)) return wrong(inFile(file, 'added_tokens_decoder'), 'an object', decoder)
  return Object.entries(decoder).map(([id, token]) => (isRecord(token) ? { ...token, id: Number(id) } : token))
}

const sideIn = (value: unknown, path: string): Side =>
  value === undefined || value === null
    ? 'right'
    : value === 'left' || value === 'right'
      ? value
      : wrong(path, '"left" or "right"', value)

const maxLengthIn = (value: unknown, path: string): { readonly maxLength?: number } => {
  // Transformers writes 1e30 where there is no limit.
  if (value === undefined || value === null || (typeof value === 'number' && value >= 1e20)) return {}
  return Number.isSafeInteger(value) && Number(value) > 0
    ? { maxLength: Number(value) }
    : wrong(path, 'a whole number > 0', value)
}

const templatesIn = (value: unknown, path: string): Readonly<Record<string, string>> => {
  if (value === undefined || value === null) return {}
  if (typeof value === 'string') return { default: value }
  if (!Array.isArray(value)) return wrong(path, 'a template or a list of templates', value)
  return Object.fromEntries(
    value.map((one: unknown, i) =>
      isRecord(one) && typeof one['name'] === 'string' && typeof one['template'] === 'string'
        ? [one['name'], one['template']]
        : wrong(`${path}[${i}]`, 'a name and a template', one),
    ),
  )
}

const templateFiles = async (folder: string): Promise<Readonly<Record<string, string>>> => {
  const alone = await orAbsent(readText(join(folder, 'chat_template.jinja'), tooLarge))
  const more = join(folder, 'additional_chat_templates')
  const names = ((await orAbsent(readdir(more))) ?? []).filter((name) => name.endsWith('.jinja'))
  const others = await Promise.all(
    names.map(async (name) => [name.slice(0, -'.jinja'.length), await readText(join(more, name), tooLarge)] as const),
  )
  return { ...Object.fromEntries(others), ...(alone === undefined ? {} : { default: alone }) }
}

/** Reads tokenizer_config.json, special_tokens_map.json and the chat templates, each of which may be absent. */
export const readConfig = async (folder: string): Promise<TokenizerConfig> => {
  const file = join(folder, 'tokenizer_config.json')
  const mapFile = join(folder, 'special_tokens_map.json')
  const config = await readObject(file)
  const named = namedIn(config, file)
  const fromMap = namedIn(await readObject(mapFile), mapFile)
  const files = await templateFiles(folder)
  const path = inFile(file, 'chat_template')
  return {
    named: [...named, ...fromMap.filter(({ role }) => !Object.hasOwn(config, `${role}_token`))],
    added: addedIn(config['added_tokens_decoder'], file),
    ...maxLengthIn(config['model_max_length'], inFile(file, 'model_max_length')),
    paddingSide: sideIn(config['padding_side'], inFile(file, 'padding_side')),
    truncationSide: sideIn(config['truncation_side'], inFile(file, 'truncation_side')),
    cleans: config['clean_up_tokenization_spaces'] === true,
    // The files are what newer releases write, and go before the field.
    chat: Object.keys(files).length > 0 ? files : templatesIn(config['chat_template'], path),
  }
}
