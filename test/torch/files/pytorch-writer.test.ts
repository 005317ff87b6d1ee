/** Files for PyTorch: read back here, and by PyTorch's restricted reader where it is present. */
import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as torch from '#lib/torch/index.js'
import { fixture } from '../../model/parity.js'

const python = [process.env.LANDMARK_DIFFUSION_PYTHON, 'python3'].find(
  (command) =>
    command !== undefined &&
    spawnSync(command, ['-c', 'import torch, safetensors.torch'], { stdio: 'ignore' }).status === 0,
)

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pytorch-writer-'))
})
afterAll(() => rm(folder, { recursive: true }))

describe('savePickle', () => {
  it('writes tensors of every dtype and plain data that come back as they were', async () => {
    await torch.scopeAsync(async () => {
      const { tensors } = await fixture('state')
      const path = join(folder, 'state.pt')
      const shared = torch.ones([2])
      const one = torch.ones([1], { dtype: 'float64' })
      await torch.savePickle(path, {
        state: tensors,
        twice: [shared, shared],
        complex: torch.call('aten::complex', [one, one.mul(-2)]) as torch.Tensor,
        numbers: [0, -1, 2 ** 31, -(2 ** 40), 1.5, -0, Number.NaN, 255n, -(2n ** 70n)],
        texts: ['', 'Gonion \u{1F9B7}'],
        nothing: null,
        flags: [true, false],
        bytes: Uint8Array.of(0, 127, 128, 255),
        empty: [[], {}],
        map: new Map([[3, 'three']]),
      })
      const loaded = (await torch.loadPickle(path)) as Record<string, torch.Loaded>
      const state = loaded.state as Record<string, torch.Tensor>
      expect(Object.keys(state)).toEqual(Object.keys(tensors))
      for (const [name, tensor] of Object.entries(tensors)) {
        expect(state[name]?.dtype, name).toBe(tensor.dtype)
        expect(state[name]?.shape, name).toEqual(tensor.shape)
        expect(await state[name]?.data(), name).toEqual(await tensor.data())
      }
      const [first, second] = loaded.twice as torch.Tensor[]
      expect(await first?.tolist()).toEqual([1, 1])
      expect(await second?.tolist()).toEqual([1, 1])
      expect(await (loaded.complex as torch.Tensor).tolist()).toEqual([{ re: 1, im: -2 }])
      const numbers = [0, -1, 2 ** 31, -(2 ** 40), 1.5, -0, Number.NaN, 255, -(2n ** 70n)]
      expect(loaded.numbers).toEqual(numbers)
      expect(loaded.texts).toEqual(['', 'Gonion \u{1F9B7}'])
      expect(loaded.nothing).toBeNull()
      expect(loaded.flags).toEqual([true, false])
      expect(Uint8Array.from(loaded.bytes as Uint8Array)).toEqual(Uint8Array.of(0, 127, 128, 255))
      expect(loaded.empty).toEqual([[], {}])
      expect(loaded.map).toEqual({ 3: 'three' })
    })
  })

  it('writes the same bytes for the same values', async () => {
    await torch.scopeAsync(async () => {
      const value = { x: torch.arange(0, 3), n: 1 }
      const paths = [join(folder, 'a.pt'), join(folder, 'b.pt')] as const
      for (const path of paths) await torch.savePickle(path, value)
      expect(await readFile(paths[0])).toEqual(await readFile(paths[1]))
    })
  })

  it('names the place of what cannot be saved, and leaves no file', async () => {
    const path = join(folder, 'never.pt')
    const loop: Record<string, unknown> = {}
    loop.self = [loop]
    const cases: [unknown, RegExp][] = [
      [{ a: [1, () => 1] }, /The value\.a\[1\] cannot be saved: it is a function/],
      [{ when: new Date() }, /The value\.when cannot be saved: it is a Date/],
      [loop, /The value\.self\[0\] cannot be saved: it contains itself/],
      [{ big: 1n << 3000n }, /over 2000 bits/],
    ]
    for (const [value, message] of cases) {
      await expect(torch.savePickle(path, value as torch.Saveable)).rejects.toMatchObject({
        code: 'ERR_CHECKPOINT',
        message: expect.stringMatching(message),
      })
    }
    await expect(readFile(path)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it.skipIf(!python)('is read by PyTorch, weights_only, with the same values', async () => {
    await torch.scopeAsync(async () => {
      const { tensors } = await fixture('state')
      const path = join(folder, 'live.pt')
      const { twice, ...plain } = {
        twice: torch.ones([2]),
        numbers: [0, -1, 2 ** 31, 2 ** 40, 1.5],
        text: 'Gonion',
        nothing: null,
        flag: true,
        bytes: Uint8Array.of(0, 128, 255),
      }
      await torch.savePickle(path, { ...tensors, pair: [twice, twice], plain })
      const program = `
import json, sys, torch
from safetensors.torch import save_file
value = torch.load(sys.argv[1], weights_only=True)
plain, pair = value.pop("plain"), value.pop("pair")
assert pair[0].data_ptr() == pair[1].data_ptr()
plain["bytes"] = list(plain["bytes"])
save_file({k: v.contiguous() for k, v in value.items()}, sys.argv[2])
print(json.dumps(plain))
`
      const copy = join(folder, 'copy.safetensors')
      const run = spawnSync(python as string, ['-c', program, path, copy], { encoding: 'utf8' })
      expect(run.status, run.stderr).toBe(0)
      expect(JSON.parse(run.stdout)).toEqual({ ...plain, bytes: [0, 128, 255] })
      const copied = await torch.load(copy)
      expect(Object.keys(copied).sort()).toEqual(Object.keys(tensors).sort())
      for (const [name, tensor] of Object.entries(tensors)) {
        expect(copied[name]?.dtype, name).toBe(tensor.dtype)
        expect(await copied[name]?.data(), name).toEqual(await tensor.data())
      }
    })
  })
})
