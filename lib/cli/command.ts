/**
 * What every command shares: how it is declared, how it ends (status 0 done, 1 failed with one sentence, 2 wrong
 * usage), how ctrl-C reaches it, and how option values are read. Progress lines are in progress.ts.
 */

import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { LandmarkDiffusionError } from '../errors.js'

export { Progress } from './progress.js'

/** Exit statuses of the command line. */
export const exitStatus = { done: 0, failed: 1, usage: 2 } as const

/** What a command is called, what it does, and at least one line that a reader can copy. */
export interface CommandDescription {
  readonly name: string
  readonly summary: string
  /** Complete command lines, shown under "Examples" by `--help`. */
  readonly examples: readonly string[]
}

/**
 * A commander command with the house rules set: `--debug`, examples in the help, errors thrown instead of a
 * process that ends. Add options and an action to it.
 */
export function defineCommand({ name, summary, examples }: CommandDescription): Command {
  const lines = examples.map((line) => `  $ ${line}`).join('\n')
  return new Command(name)
    .description(summary)
    .option('--debug', 'show the stack of an error')
    .helpOption('-h, --help', 'show this help')
    .addHelpText('after', `\n${examples.length > 1 ? 'Examples' : 'Example'}:\n${lines}`)
    .exitOverride()
    .configureOutput({ outputError: () => undefined })
}

/** A mistake in how a command was called: exit status 2. */
export function usageError(message: string): LandmarkDiffusionError {
  return new LandmarkDiffusionError('ERR_USAGE', message)
}

/** Prints a value as JSON on the standard output; everything else that a command says goes to standard error. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`)
}

/** A line for people, on standard error, so that `--json` on standard output stays clean. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

let interrupt: AbortController | undefined

/**
 * The signal that ctrl-C (or SIGTERM) aborts. The first one lets the command save and finish; the same one again ends
 * the process at once. (Launchers such as torchrun pass ctrl-C on as SIGTERM, beside the terminal's own.) Installed
 * at the first call, so a command that does not ask keeps the default behaviour.
 */
export function interruptSignal(): AbortSignal {
  if (interrupt) return interrupt.signal
  const controller = new AbortController()
  interrupt = controller
  const seen = new Set<NodeJS.Signals>()
  const onSignal = (name: NodeJS.Signals): void => {
    if (seen.has(name)) process.exit(name === 'SIGINT' ? 130 : 143)
    seen.add(name)
    if (controller.signal.aborted) return
    say(name === 'SIGINT' ? '\nStopping; press ctrl-C again to stop at once.' : '\nStopping.')
    controller.abort(new LandmarkDiffusionError('ERR_ABORTED', 'Interrupted before it was done.'))
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return controller.signal
}

/** Runs a command line and returns its exit status; prints what went wrong, if anything did. */
export async function runCommand(program: Command, words: readonly string[]): Promise<number> {
  try {
    await program.parseAsync([...words], { from: 'user' })
    return Number(process.exitCode ?? exitStatus.done)
  } catch (error) {
    return reportFailure(error, words.includes('--debug'))
  }
}

/** Prints one error in the house's form and returns the exit status that it stands for. */
export function reportFailure(error: unknown, debug: boolean): number {
  if (error instanceof CommanderError) {
    // Help and version end by an exception too, with status 0.
    if (error.exitCode === 0) return exitStatus.done
    const text = error.message.replace(/^error: /, '')
    if (text !== '(outputHelp)') say(`${capitalise(text)}\nAdd --help to see how it is used.`)
    return exitStatus.usage
  }
  if (error instanceof LandmarkDiffusionError) {
    say(debug ? (error.stack ?? error.message) : error.message)
    if (debug && error.cause !== undefined) say(`Cause: ${describe(error.cause)}`)
    if (error.code === 'ERR_USAGE') say('Add --help to see how it is used.')
    return error.code === 'ERR_USAGE' ? exitStatus.usage : exitStatus.failed
  }
  if (error instanceof Error) {
    say(debug ? describe(error) : `${plainMessage(error)} (add --debug for the stack)`)
    return exitStatus.failed
  }
  say(String(error))
  return exitStatus.failed
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

/** System errors carry a code and a path, which say more than their text's first words. */
function plainMessage(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT' && error.path) return `There is no '${error.path}'.`
  if (error.code === 'EACCES' && error.path) return `No permission for '${error.path}'.`
  if (error.code === 'ENOSPC') return `The disk is full${error.path ? ` ('${error.path}')` : ''}.`
  return error.message.split('\n', 1)[0] ?? error.message
}

function capitalise(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

/** Option reader: a whole number > 0. */
export function positiveInteger(text: string): number {
  const value = wholeNumber(text)
  if (value <= 0) throw new InvalidArgumentError('It must be a whole number above 0.')
  return value
}

/** Option reader: a whole number, negative ones included, that a double holds exactly. */
export function wholeNumber(text: string): number {
  const value = /^[+-]?\d+$/.test(text.trim()) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(value)) throw new InvalidArgumentError('It must be a whole number.')
  return value
}

/** Option reader: a finite number > 0. */
export function positiveNumber(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text)
  if (!Number.isFinite(value) || value <= 0)
    throw new InvalidArgumentError('It must be a number above 0.')
  return value
}

/** Option reader: WIDTHxHEIGHT in pixels, as in 484x600. */
export function imageSize(text: string): { width: number; height: number } {
  const match = /^(\d{1,5})x(\d{1,5})$/i.exec(text.trim())
  const [width, height] = [Number(match?.[1] ?? 0), Number(match?.[2] ?? 0)]
  if (width === 0 || height === 0)
    throw new InvalidArgumentError('It must be WIDTHxHEIGHT in pixels, as in 484x600.')
  return { width, height }
}

/** Option reader: words separated by commas, each one of `choices`. */
export function commaList<T extends string>(choices: readonly T[]): (text: string) => T[] {
  return (text) =>
    text.split(',').map((part) => {
      const word = choices.find((choice) => choice === part.trim())
      if (word === undefined)
        throw new InvalidArgumentError(`'${part.trim()}' is not one of ${choices.join(', ')}.`)
      return word
    })
}

/** Option reader for options that may be given several times: collects the values in order. */
export function repeatable(text: string, previous: readonly string[] = []): string[] {
  return [...previous, text]
}
