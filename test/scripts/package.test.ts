/** What goes into npm's tarball: it must be usable where it is installed. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

test('the tarball holds the compiled package, the built addon and the presets, and no test', async () => {
  const command = ['pack', '--dry-run', '--json', '--ignore-scripts']
  const { stdout } = await promisify(execFile)('npm', command, { cwd: root })
  const [tarball] = JSON.parse(stdout) as [
    { files: { path: string; size: number }[]; unpackedSize: number },
  ]
  const paths = tarball.files.map(({ path }) => path)
  expect(paths).toEqual(
    expect.arrayContaining([
      'dist/index.js',
      'dist/index.d.ts',
      'dist/torch.js',
      'dist/cli/index.js',
      'dist/data/canvas-worker.js',
      'build/Release/landmark_diffusion.node',
      'configs/small.yaml',
      'native/addon.cpp',
      'scripts/setup-libtorch.mjs',
      'LICENSE',
    ]),
  )
  expect(paths.filter((path) => /^(test|node_modules|runs|data)\//.test(path))).toEqual([])
  // A build for CUDA is half as large again.
  const addon = tarball.files.find(({ path }) => path.endsWith('.node'))?.size ?? 0
  expect(tarball.unpackedSize - addon).toBeLessThan(8e6)
  expect(addon).toBeLessThan(6e6)
})
