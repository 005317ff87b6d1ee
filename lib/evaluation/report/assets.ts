/** Style sheets and scripts of the report. They are files for a browser, kept as they are, and come with the page: it loads nothing. */

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

/** The package has `lib` beside `dist`. */
const folder = new URL('../../../lib/evaluation/report/browser/', import.meta.url)

const read = (name: string) => readFileSync(new URL(name, folder), 'utf8')

export interface Assets {
  readonly style: string
  readonly scripts: readonly string[]
  /** For `script-src`: the page runs these scripts and no other. */
  readonly policy: string
}

export function readAssets(): Assets {
  const scripts = ['page.js', 'data.js', 'sorting.js', 'viewer.js'].map(read)
  const hashes = scripts.map((text) => createHash('sha256').update(text).digest('base64'))
  return {
    style: ['page.css', 'figures.css', 'images.css', 'print.css'].map(read).join('\n'),
    scripts,
    policy: hashes.map((hash) => `'sha256-${hash}'`).join(' '),
  }
}
