/** Finds predicted images below a folder by their names. */

import { readdir } from 'node:fs/promises'
import { basename, extname, join, sep } from 'node:path'
import { LandmarkDiffusionError } from '../../errors.js'
import type { PredictedImage } from '../predictions.js'

/** The files below a folder, found by name. Only files that this index has listed are ever opened, so a path in a predictions file cannot lead out of the folder. */
export class ImageFolder {
  readonly #folder: string
  readonly #byName = new Map<string, string[]>()

  private constructor(folder: string) {
    this.#folder = folder
  }

  /** Lists a folder and all below it. @throws ERR_DATA if there is no such folder */
  static async open(folder: string): Promise<ImageFolder> {
    const index = new ImageFolder(folder)
    const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(
      (cause: unknown) => {
        throw new LandmarkDiffusionError(
          'ERR_DATA',
          `The image folder ${folder} cannot be read (${(cause as NodeJS.ErrnoException).code}). Give the folder of the images that were predicted.`,
          { cause },
        )
      },
    )
    for (const entry of entries) {
      if (!entry.isFile()) continue
      const path = join(entry.parentPath, entry.name)
      index.#add(entry.name, path)
      // A data set converted to another format keeps its stems.
      index.#add(basename(entry.name, extname(entry.name)), path)
    }
    return index
  }

  #add(name: string, path: string): void {
    const paths = this.#byName.get(name)
    if (paths === undefined) this.#byName.set(name, [path])
    else if (!paths.includes(path)) paths.push(path)
  }

  /** The path of a predicted image; null when there is none or when several files fit equally. */
  find({ file }: Pick<PredictedImage, 'file'>): string | null {
    const wanted = file.replaceAll('\\', '/')
    const name = wanted.slice(wanted.lastIndexOf('/') + 1)
    const sameName = this.#byName.get(name) ?? []
    const tail = sameName.filter((path) => `/${path.split(sep).join('/')}`.endsWith(`/${wanted}`))
    const sameStem = (this.#byName.get(basename(name, extname(name))) ?? []).filter((path) =>
      /\.(bmp|jpe?g|png|tiff?|webp)$/i.test(path),
    )
    for (const candidates of [tail, sameName, sameStem]) {
      if (candidates.length === 1) return candidates[0] as string
    }
    return null
  }

  toString(): string {
    return this.#folder
  }
}
