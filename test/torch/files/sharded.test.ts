/** Safetensors in several files: a round trip, what the index says, and hostile indexes. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as torch from '#lib/torch/index.js'

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sharded-'))
})
afterAll(() => rm(folder, { recursive: true }))

const refusal = (message: RegExp) => ({
  code: 'ERR_CHECKPOINT',
  message: expect.stringMatching(message),
})

describe('saving in shards', () => {
  it('fills files up to the limit, and reads back what was saved', async () => {
    await torch.scopeAsync(async () => {
      const tensors = {
        a: torch.arange(0, 10),
        b: torch.randn([3, 4]),
        c: torch.ones([5], { dtype: 'float16' }),
        d: torch.randn([100]),
      }
      const path = join(folder, 'model.safetensors.index.json')
      // a is 80 bytes, b 48, c 10, d 400: b and c fit beside a, d is larger than any file may be.
      await torch.save(path, tensors, { maxShardBytes: 140, metadata: { format: 'pt' } })
      expect((await readdir(folder)).filter((name) => name.startsWith('model-')).sort()).toEqual([
        'model-00001-of-00002.safetensors',
        'model-00002-of-00002.safetensors',
      ])
      const index = JSON.parse(await readFile(path, 'utf8'))
      expect(index.metadata).toEqual({ format: 'pt', total_size: 538 })
      expect(index.weight_map.c).toBe('model-00001-of-00002.safetensors')
      expect(index.weight_map.d).toBe('model-00002-of-00002.safetensors')
      const loaded = await torch.load(path)
      expect(Object.keys(loaded).sort()).toEqual(['a', 'b', 'c', 'd'])
      for (const [name, tensor] of Object.entries(tensors)) {
        expect(loaded[name]?.dtype).toBe(tensor.dtype)
        expect(await loaded[name]?.tolist()).toEqual(await tensor.tolist())
      }
    })
  })

  it('does not overwrite an index, whose files it would replace one by one', async () => {
    await torch.scopeAsync(async () => {
      const path = join(folder, 'twice.safetensors.index.json')
      await torch.save(path, { x: torch.ones([1]) })
      await expect(torch.save(path, { x: torch.zeros([1]) })).rejects.toMatchObject(
        refusal(/is there already/),
      )
      expect(await (await torch.load(path)).x?.tolist()).toEqual([1])
    })
  })
})

describe('a hostile index', () => {
  async function load(text: string): Promise<unknown> {
    const path = join(folder, 'bad.safetensors.index.json')
    await writeFile(path, text)
    return torch.load(path)
  }

  it.each([
    ['no JSON', '{', /no JSON/],
    ['no map', '{}', /no weight_map/],
    ['a map of something else', '{"weight_map": {"x": 1}}', /no weight_map/],
    [
      'a folder above',
      '{"weight_map": {"x": "../x.safetensors"}}',
      /no safetensors file beside it/,
    ],
    ['another kind of file', '{"weight_map": {"x": "x.pt"}}', /no safetensors file beside it/],
    ['a missing file', '{"weight_map": {"x": "none.safetensors"}}', /no such file/],
  ])('of %s is refused', async (_, text, message) => {
    await expect(load(text)).rejects.toMatchObject(refusal(message))
  })

  it('that places a tensor in the wrong file is refused', async () => {
    await torch.scopeAsync(async () => {
      await torch.save(join(folder, 'one.safetensors'), { y: torch.ones([1]) })
      const text = '{"weight_map": {"x": "one.safetensors"}}'
      await expect(load(text)).rejects.toMatchObject(refusal(/'x' is not in 'one.safetensors'/))
    })
  })
})
