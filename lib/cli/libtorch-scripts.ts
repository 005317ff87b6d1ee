/**
 * The scripts that find and fetch libtorch are plain JavaScript outside `lib`, because they run before TypeScript is
 * compiled. This file gives them their types.
 */

/** A libtorch folder, as scripts/libtorch/find.mjs describes it. */
export interface Libtorch {
  readonly root: string
  readonly version: string
  readonly fullVersion: string
  /** 'cpu', 'cu130', ... */
  readonly flavour: string
  readonly source: 'LIBTORCH' | 'python' | 'cache'
  /** The variable, interpreter or cache folder that led to it. */
  readonly detail: string
  readonly lib: string
  readonly include: string
  readonly cmake: string
  readonly cxx11abi: boolean
}

/** A place that was looked at in vain. */
export interface LookedAt {
  readonly source: string
  readonly place: string
  readonly reason: string
}

interface FindScript {
  readonly preferredVersion: string
  findLibtorch(): { found: Libtorch | null; looked: LookedAt[] }
  explainMissing(looked: readonly LookedAt[]): string
  cacheFolder(): string
}

interface SetupScript {
  setupLibtorch(options: {
    version?: string
    cuda?: boolean
    from?: string
    sha256?: string
    force?: boolean
    say?: (line: string) => void
  }): Promise<{ libtorch: Libtorch; fetched: boolean }>
  precedenceNote(libtorch: Libtorch): string | null
  readonly SetupError: new (message: string) => Error
}

const scripts = new URL('../../scripts/libtorch/', import.meta.url)

/** Where libtorch is, without loading it. */
export async function findScript(): Promise<FindScript> {
  return (await import(new URL('find.mjs', scripts).href)) as FindScript
}

/** How libtorch is fetched. */
export async function setupScript(): Promise<SetupScript> {
  return (await import(new URL('setup.mjs', scripts).href)) as SetupScript
}
