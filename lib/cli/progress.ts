/** Progress of a long job: a bar with ETA on a terminal, plain lines now and then everywhere else. */

import { createRequire } from 'node:module'
import type { SingleBar } from 'cli-progress'

// Every command imports this file: the bar is loaded only for a terminal that shows it, so that help comes at once.
const require = createRequire(import.meta.url)

export interface ProgressOptions {
  /** How many units the whole job has. */
  readonly total: number
  /** Units that were already done when it started (a resumed job); they do not count for the ETA. */
  readonly start?: number
  /** Seconds between two lines where there is no terminal. Default 10. */
  readonly interval?: number
  /** Default: standard error, so that results on standard output stay clean. */
  readonly stream?: NodeJS.WriteStream
  /** Milliseconds; replaceable by tests. */
  readonly now?: () => number
}

/** Figures shown beside the bar, such as `{ loss: 0.12, 'images/s': 3.4 }`. Numbers get four significant digits. */
export type ProgressDetails = Readonly<Record<string, string | number>>

/** Reports one job. Call `update` as often as you like, then `finish` (or `using`). */
export class Progress implements Disposable {
  readonly #label: string
  readonly #total: number
  readonly #first: number
  readonly #interval: number
  readonly #stream: NodeJS.WriteStream
  readonly #now: () => number
  readonly #began: number
  readonly #bar: SingleBar | null
  #done: number
  #details = ''
  #lastLine = Number.NEGATIVE_INFINITY
  #lastLineDone = -1
  #finished = false

  constructor(label: string, options: ProgressOptions) {
    this.#label = label
    this.#total = options.total
    this.#first = options.start ?? 0
    this.#done = this.#first
    this.#interval = (options.interval ?? 10) * 1000
    this.#stream = options.stream ?? process.stderr
    this.#now = options.now ?? Date.now
    this.#began = this.#now()
    this.#bar = this.#stream.isTTY ? this.#startBar() : null
  }

  #startBar(): SingleBar {
    const cliProgress = require('cli-progress') as typeof import('cli-progress')
    const bar = new cliProgress.SingleBar({
      format: '{label} {bar} {percentage}% {value}/{total} | {eta} | {details}',
      barCompleteChar: '█',
      barIncompleteChar: '░',
      barsize: 24,
      hideCursor: true,
      stopOnComplete: false,
      gracefulExit: false,
      fps: 5,
      stream: this.#stream,
    })
    bar.start(this.#total, this.#first, { label: this.#label, eta: 'ETA ?', details: '' })
    return bar
  }

  /** `done`: units finished so far, counted from the very beginning of the job. */
  update(done: number, details: ProgressDetails = {}): void {
    if (this.#finished) return
    this.#done = done
    this.#details = Object.entries(details)
      .map(([name, value]) => `${name} ${typeof value === 'number' ? compact(value) : value}`)
      .join('  ')
    if (this.#bar) {
      const eta = `ETA ${formatDuration(this.#remaining())}`
      this.#bar.update(done, { label: this.#label, eta, details: this.#details })
      return
    }
    if (this.#now() - this.#lastLine >= this.#interval) this.#printLine()
  }

  /** A line of its own that stays, above the bar. */
  note(line: string): void {
    if (this.#bar && !this.#finished) {
      this.#stream.write(`\r\u001b[K${line}\n`)
      return
    }
    this.#stream.write(`${line}\n`)
  }

  /** Ends the report; a job that stopped early shows how far it came. */
  finish(): void {
    if (this.#finished) return
    this.#finished = true
    if (this.#bar) this.#bar.stop()
    else if (this.#lastLineDone !== this.#done) this.#printLine()
  }

  [Symbol.dispose](): void {
    this.finish()
  }

  #printLine(): void {
    this.#lastLine = this.#now()
    this.#lastLineDone = this.#done
    const percent = this.#total > 0 ? Math.floor((100 * this.#done) / this.#total) : 100
    const parts = [`${this.#label}: ${this.#done}/${this.#total} (${percent}%)`]
    if (this.#done < this.#total) parts.push(`ETA ${formatDuration(this.#remaining())}`)
    else parts.push(`took ${formatDuration((this.#now() - this.#began) / 1000)}`)
    if (this.#details) parts.push(this.#details)
    this.#stream.write(`${parts.join(' | ')}\n`)
  }

  /** Seconds left at the average speed of this run; NaN before the first unit. */
  #remaining(): number {
    const here = this.#done - this.#first
    if (here <= 0) return Number.NaN
    return ((this.#now() - this.#began) / 1000 / here) * Math.max(0, this.#total - this.#done)
  }
}

/** 4 significant digits, without an exponent for everyday sizes. */
function compact(value: number): string {
  if (Number.isInteger(value)) return String(value)
  return String(Number(value.toPrecision(4)))
}

/** Seconds to '42s', '3m 05s' or '2h 07m'; '?' when unknown. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?'
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole}s`
  const pad = (value: number): string => String(value).padStart(2, '0')
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${pad(whole % 60)}s`
  return `${Math.floor(whole / 3600)}h ${pad(Math.floor((whole % 3600) / 60))}m`
}
