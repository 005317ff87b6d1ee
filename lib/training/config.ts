/** Reading a run's configuration: a preset, a YAML or JSON file over it, `key=value` overrides over both, all checked by one schema; and writing the effective one. */

import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { closest, distance } from 'fastest-levenshtein'
import { Document, isSeq, parse, visit } from 'yaml'
import { z } from 'zod'
import { LandmarkDiffusionError } from '../errors.js'
import { type Config, type ConfigInput, configSchema } from './config-schema.js'

export { type Config, type ConfigInput, configSchema } from './config-schema.js'

/** The presets are the files of `configs/` at the top of the package. */
const presetFolder = fileURLToPath(new URL('../../configs/', import.meta.url))

/** What a configuration is put together from; later ones win. */
export interface ConfigSources {
  /** Name of a file of `configs/` without its ending. Default: `paper`, unless the file names one. */
  preset?: string | undefined
  /** Path of a YAML or JSON file, or the object that it would hold. It may name its `preset`. */
  config?: string | (ConfigInput & { preset?: string }) | undefined
  /** `section.key=value` overrides; the value is YAML: `train.lr=5e-4`, `model.attention=[8, 16]`. */
  set?: readonly string[] | undefined
}

/** Names of the presets, in alphabetical order. */
export function presetNames(): string[] {
  return readdirSync(presetFolder)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => name.slice(0, -'.yaml'.length))
    .sort()
}

/** Puts an effective configuration together. @throws ERR_CONFIG with the path of the key. */
export function loadConfig(sources: ConfigSources = {}): Config {
  const { config } = sources
  const file = typeof config === 'string' ? readConfigFile(config) : asObject(config, 'config')
  const origin = typeof config === 'string' ? config : 'config'
  const { preset: ownPreset, ...own } = file
  if (ownPreset !== undefined && typeof ownPreset !== 'string') {
    throw new LandmarkDiffusionError('ERR_CONFIG', `${origin}: preset must be a name`)
  }
  const preset = sources.preset ?? (ownPreset as string | undefined)
  // A file without a preset is complete by itself: the schema's defaults are the paper's.
  const base = preset === undefined ? {} : readPreset(preset)
  let merged = merge(base, own)
  for (const assignment of sources.set ?? []) merged = merge(merged, parseAssignment(assignment))
  return parseConfig(merged, origin === 'config' ? (preset ?? origin) : origin)
}

/** Checks a plain object against the schema and fills in the defaults. @throws ERR_CONFIG */
export function parseConfig(value: unknown, origin = 'config'): Config {
  const result = configSchema.safeParse(value)
  if (result.success) return result.data
  const lines = result.error.issues.map((issue) => describeIssue(issue, value))
  throw new LandmarkDiffusionError('ERR_CONFIG', `${origin}: ${lines.join('; ')}`)
}

/** The JSON Schema of a configuration file, for editors and for `train --schema`. */
export function configJsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(configSchema, { io: 'input', target: 'draft-2020-12' })
}

/** The text of an effective configuration, which `loadConfig` reads back to the same one. */
export function formatConfig(config: Config): string {
  const document = new Document(config)
  document.commentBefore = ' Effective configuration of this run: every key, defaults included.'
  visit(document, {
    Node(_, node) {
      if (isSeq(node)) node.flow = true
    },
  })
  return document.toString({ flowCollectionPadding: false, lineWidth: 100 })
}

function readPreset(name: string): Record<string, unknown> {
  const names = presetNames()
  if (!names.includes(name)) {
    throw new LandmarkDiffusionError(
      'ERR_CONFIG',
      `there is no preset ${JSON.stringify(name)}: did you mean ${closest(name, names)}? The presets are ${names.join(', ')}; a file of your own is given with --config FILE`,
    )
  }
  const { preset, ...own } = readConfigFile(`${presetFolder}${name}.yaml`)
  return typeof preset === 'string' ? merge(readPreset(preset), own) : own
}

function readConfigFile(path: string): Record<string, unknown> {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new LandmarkDiffusionError('ERR_CONFIG', `${path}: cannot be read: ${message(cause)}`, {
      cause,
    })
  }
  try {
    return asObject(parse(text), path)
  } catch (cause) {
    if (cause instanceof LandmarkDiffusionError) throw cause
    throw new LandmarkDiffusionError(
      'ERR_CONFIG',
      `${path}: is neither YAML nor JSON: ${message(cause)}`,
      { cause },
    )
  }
}

function parseAssignment(assignment: string): Record<string, unknown> {
  const match = /^([A-Za-z0-9]+(?:\.[A-Za-z0-9]+)*)=(.*)$/s.exec(assignment)
  if (!match) {
    throw new LandmarkDiffusionError(
      'ERR_CONFIG',
      `--set ${assignment}: expected section.key=value, as in --set train.lr=5e-4`,
    )
  }
  const [, path = '', text = ''] = match
  let value: unknown
  try {
    value = parse(text)
  } catch (cause) {
    throw new LandmarkDiffusionError(
      'ERR_CONFIG',
      `--set ${path}: ${JSON.stringify(text)} is not a YAML value: ${message(cause)}`,
      { cause },
    )
  }
  return path.split('.').reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as Record<
    string,
    unknown
  >
}

/** Sections are merged key by key; everything else is replaced as a whole, schedules included. */
function merge(base: Record<string, unknown>, over: Record<string, unknown>) {
  const merged = { ...base }
  for (const [key, value] of Object.entries(over)) {
    const old = merged[key]
    merged[key] =
      key !== 'accumulate' && isObject(old) && isObject(value) ? merge(old, value) : value
  }
  return merged
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function asObject(value: unknown, origin: string): Record<string, unknown> {
  if (value === undefined || value === null) return {}
  if (isObject(value)) return value
  throw new LandmarkDiffusionError('ERR_CONFIG', `${origin}: expected sections with keys`)
}

function message(cause: unknown): string {
  return cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause)
}

interface JsonSchema {
  properties?: Record<string, JsonSchema>
  anyOf?: JsonSchema[]
}

/** The keys that the schema knows, as paths: `train`, `train.lr`, ... */
function knownPaths(): string[] {
  const paths: string[] = []
  const walk = (schema: JsonSchema, prefix: string) => {
    for (const part of [schema, ...(schema.anyOf ?? [])]) {
      for (const [key, inner] of Object.entries(part.properties ?? {})) {
        paths.push(prefix + key)
        walk(inner, `${prefix}${key}.`)
      }
    }
  }
  walk(configJsonSchema() as JsonSchema, '')
  return paths
}

function describeIssue(issue: z.core.$ZodIssue, input: unknown): string {
  const path = issue.path.map(String).join('.')
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => describeUnknown(path ? `${path}.${key}` : key)).join('; ')
  }
  let given: unknown = input
  for (const key of issue.path) {
    given = isObject(given) || Array.isArray(given) ? Reflect.get(given, key) : undefined
  }
  // A custom issue tells its own story; the others speak of a value that the reader must see.
  if (issue.code === 'custom') return `${path}: ${issue.message}`
  return `${path || 'the whole'}: ${issue.message}, got ${JSON.stringify(given)}`
}

/** The nearest sibling by spelling; or the same key in another section; or the list of siblings. */
function describeUnknown(path: string): string {
  const cut = path.lastIndexOf('.') + 1
  const [parent, key] = [path.slice(0, cut), path.slice(cut)]
  const paths = knownPaths()
  const siblings = paths
    .filter((known) => known.startsWith(parent) && !known.slice(cut).includes('.'))
    .map((known) => known.slice(cut))
  const nearest = siblings.length > 0 ? closest(key, siblings) : ''
  const elsewhere = paths.filter((known) => known.endsWith(`.${key}`))
  if (elsewhere.length > 0 && distance(key, nearest) > 2) {
    return `unknown key ${path}: did you mean ${elsewhere.join(' or ')}?`
  }
  if (distance(key, nearest) <= Math.max(2, key.length / 2)) {
    return `unknown key ${path}: did you mean ${parent}${nearest}?`
  }
  return `unknown key ${path}: the keys here are ${siblings.join(', ')}`
}
