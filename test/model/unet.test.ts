/** The U-Net: size and names of the paper's network, and PyTorch's numbers on a small one. */
import { describe, expect, it } from 'vitest'
import { encodeTime, UNet, Upsample } from '#lib/model/index.js'
import * as torch from '#lib/torch/index.js'
import { buildModel, distance, expectAllClose, fixture, named, only } from './parity.js'

const small = {
  landmarks: 2,
  encoderChannels: [4, 8],
  decoderChannels: [8, 4],
  attention: [2],
  groups: 2,
} as const

describe('UNet', () => {
  it('has 38 810 835 parameters in the configuration of the paper (38.8 M), with the names of latent-diffusion', () => {
    using unet = new UNet({ landmarks: 19 })
    expect(unet.parameterCount()).toBe(38_810_835)
    const shapes = Object.fromEntries(
      [...unet.namedParameters()].map(([name, tensor]) => [name, tensor.shape]),
    )
    expect(shapes).toMatchObject({
      'time_embed.0.weight': [128, 32],
      'time_embed.2.bias': [128],
      'input_blocks.0.0.weight': [32, 20, 3, 3],
      'input_blocks.1.0.in_layers.0.weight': [32],
      'input_blocks.1.0.emb_layers.1.weight': [32, 128],
      'input_blocks.3.0.op.weight': [32, 32, 3, 3],
      'input_blocks.4.0.skip_connection.weight': [64, 32, 1, 1],
      'input_blocks.7.1.qkv.weight': [384, 128, 1],
      'input_blocks.11.1.proj_out.weight': [256, 256, 1],
      'input_blocks.16.0.out_layers.3.weight': [512, 512, 3, 3],
      'middle_block.1.norm.weight': [512],
      'output_blocks.0.0.in_layers.2.weight': [256, 1024, 3, 3],
      'output_blocks.2.1.conv.weight': [256, 256, 3, 3],
      'output_blocks.8.2.conv.weight': [64, 64, 3, 3],
      'output_blocks.11.1.qkv.weight': [192, 64, 1],
      'output_blocks.17.0.in_layers.2.weight': [32, 64, 3, 3],
      'out.0.weight': [32],
      'out.2.weight': [19, 32, 3, 3],
    })
    expect(Object.keys(shapes)).not.toContain('input_blocks.10.2.op.weight')
  })

  it('grows by 4 C^2 + 6 C parameters with every attention block over C channels', () => {
    const count = (attention: number[], middleAttention: boolean) => {
      using unet = new UNet({ landmarks: 19, attention, middleAttention })
      return unet.parameterCount()
    }
    const block = (channels: number) => 4 * channels ** 2 + 6 * channels
    const none = count([], false)
    expect(count([], true)).toBe(none + block(512))
    const widths = [256, 256, 64, 64, 64, 256, 256, 128, 128, 128, 512, 512, 256, 256, 256]
    expect(count([8, 16, 32], false)).toBe(none + widths.map(block).reduce((a, b) => a + b))
  })

  it('draws the initial values of PyTorch after the same seed', async () => {
    const { description, tensors } = await fixture('init')
    torch.manualSeed(0)
    using unet = buildModel(description)
    await expectAllClose(unet.stateDict(), named(tensors, 'weights.'), { tolerance: 0 })
  })

  it.each(['forward', 'forward-legacy', 'forward-two-blocks', 'forward-baseline'])(
    'gives the output of the reference (%s)',
    async (name) => {
      const { description, tensors } = await fixture(name)
      using unet = buildModel(description, named(tensors, 'weights.'))
      await torch.scopeAsync(() =>
        torch.noGrad(async () => {
          const image = only(tensors, 'input.image')
          const output = description.timeConditioned
            ? unet.denoise(only(tensors, 'input.heatmaps'), image, only(tensors, 'input.t'))
            : unet.forward(image)
          expect(await distance(output, only(tensors, 'expected.output'))).toBeLessThan(1e-5)
          if (!unet.frequencies) return
          const encoding = encodeTime(
            only(tensors, 'input.t'),
            unet.frequencies,
            unet.options.timeEmbedding,
          )
          expect(await distance(encoding, only(tensors, 'expected.time_encoding'))).toBeLessThan(
            1e-5,
          )
        }),
      )
    },
  )

  it('starts as a constant zero, because its last convolution does', async () => {
    using unet = new UNet(small)
    await torch.scopeAsync(async () => {
      const output = unet.forward(torch.randn([1, 3, 8, 8]), torch.zeros([1], { dtype: 'int64' }))
      expect(output.shape).toEqual([1, 2, 8, 8])
      expect((await output.data()).every((value) => value === 0)).toBe(true)
    })
  })

  it('leaves no tensor behind but its output, with and without gradients', () => {
    using unet = new UNet(small)
    const forward = () =>
      torch.scope(() => {
        const before = torch.memory().tensors
        unet.forward(torch.randn([1, 3, 8, 8]), torch.zeros([1], { dtype: 'int64' }))
        return torch.memory().tensors - before
      })
    expect(forward()).toBe(3)
    expect(torch.noGrad(forward)).toBe(3)
  })

  describe('without copies', () => {
    // 18 and 6 channels in 3 groups: one lies in both. 9 and 9 -> 18 channels: a block without a shortcut convolution.
    const options = {
      landmarks: 2,
      encoderChannels: [6, 9],
      decoderChannels: [18, 12],
      resBlocks: 1,
      attention: [],
      middleAttention: false,
      groups: 3,
    } as const
    interface Copies {
      joins?: boolean | null
      doubles?: boolean | null
    }
    const inputs = (height = 10, width = 6) => {
      const x = torch.randn([2, 3, height, width], { dtype: 'float64' })
      return [x, torch.tensor([3, 150], { dtype: 'int64' })] as const
    }

    function network({ joins = null, doubles = null }: Copies): UNet {
      torch.manualSeed(3)
      const unet = new UNet({ ...options, dropout: 0 }).to('float64')
      unet.joins = joins
      for (const module of unet.modules()) if (module instanceof Upsample) module.doubles = doubles
      torch.noGrad(() => {
        // Layers that start at zero would hide differences.
        for (const parameter of unet.parameters())
          parameter.add_(torch.randn(parameter.shape), { alpha: 0.1 })
      })
      return unet
    }

    /** How often an operator is in a forward pass. */
    async function count(operator: string, copies: Copies, [x, t] = inputs()): Promise<number> {
      const unet = network(copies)
      const forward = torch.program((x: torch.Tensor, t: torch.Tensor) =>
        torch.noGrad(() => unet.forward(x, t)),
      )
      await forward(x, t)
      return forward.toString().split(`${operator}(`).length - 1
    }

    it.each<[string, Copies, Copies]>([
      ['of h and skip connections', { joins: false }, { joins: true }],
      ['of doubled images', { doubles: false }, { doubles: true }],
    ])('%s gives the output and the gradients of those with them', async (_, without, with_) => {
      const results = [without, with_].map((copies) => {
        const unet = network(copies)
        torch.manualSeed(4)
        const output = unet.forward(...inputs())
        output.square().sum().backward()
        const gradients = [...unet.parameters()].map(({ grad }) => (grad as torch.Tensor).flatten())
        return { output, gradients: torch.cat(gradients) }
      })
      const [one, other] = results as [(typeof results)[0], (typeof results)[0]]
      expect(await distance(one.output, other.output)).toBeLessThan(1e-12)
      expect(await distance(one.gradients, other.gradients)).toBeLessThan(1e-12)
    })

    it('joins none where a block need not pass it on, and by default only small ones', async () => {
      const timeEncoding = 1
      const joins = async (joins: boolean | null, given = inputs()) =>
        (await count('aten::cat', { joins }, given)) - timeEncoding
      expect(await joins(true)).toBe(4)
      expect(await joins(false)).toBe(1)
      expect(await joins(null)).toBe(4)
      expect(await joins(null, inputs(80, 80))).toBe(2)
    })

    it('doubles no image, and by default only small ones', async () => {
      const doubled = (doubles: boolean | null, given = inputs()) =>
        count('aten::upsample_nearest2d', { doubles }, given)
      expect(await doubled(true)).toBe(1)
      expect(await doubled(false)).toBe(0)
      expect(await doubled(null)).toBe(1)
      expect(await doubled(null, inputs(80, 80))).toBe(0)
    })
  })

  it('refuses sizes that its levels cannot halve, and tells which would do', () => {
    using unet = new UNet(small)
    torch.scope(() => {
      const x = torch.zeros([1, 3, 9, 8])
      const t = torch.zeros([1], { dtype: 'int64' })
      expect(() => unet.forward(x, t)).toThrow('[1, 3, 9, 8]')
      expect(() => unet.forward(x, t)).toThrow('divisible by 2')
      expect(() => unet.forward(torch.zeros([1, 3, 8, 8]))).toThrow('time-conditioned')
    })
    expect(() => new UNet({ ...small, decoderChannels: [8] })).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG' }),
    )
  })
})
