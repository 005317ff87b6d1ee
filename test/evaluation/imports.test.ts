import { readdir, readFile } from 'node:fs/promises'
import { join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const library = fileURLToPath(new URL('../../lib/', import.meta.url))

it('evaluation imports nothing of the library but itself, the errors, the reading of files and the landmarks', async () => {
  const names = await readdir(join(library, 'evaluation'), { recursive: true })
  const outside: string[] = []
  for (const name of names.filter((entry) => entry.endsWith('.ts'))) {
    const text = await readFile(join(library, 'evaluation', name), 'utf8')
    for (const [, source = ''] of text.matchAll(/(?:from|import\()\s*'(\.[^']*)'/g)) {
      const target = normalize(join('evaluation', name, '..', source))
      if (!/^(evaluation|landmarks)\//.test(target) && !/^(errors|outside-file)\.js$/.test(target))
        outside.push(`${name}: ${source}`)
    }
  }
  expect(outside).toEqual([])
})
