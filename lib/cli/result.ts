/** How commands give their result: as text on standard output and, where wanted, as JSON in a file; or as JSON alone. */

import { printJson, say } from './command.js'

/** @param json the value of `--json [file]`: true or '-' for JSON on standard output instead of the text */
export async function writeResult(
  value: object,
  sections: readonly string[],
  json: string | true | undefined,
): Promise<void> {
  if (json === true || json === '-') {
    printJson(value)
    return
  }
  process.stdout.write(`${sections.join('\n\n')}\n`)
  if (json === undefined) return
  const { replaceFile } = await import('../evaluation/files.js')
  await replaceFile(json, `${JSON.stringify(value, null, 2)}\n`, 'result')
  say(`Result written to ${json}.`)
}
