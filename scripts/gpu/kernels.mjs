// Our kernels beside ATen's operators for the same, at the sizes of the paper's network: which of them are worth it.
import * as torch from 'landmark-diffusion/torch'

/** The shapes of the paper's network that hold most of the elements, [channels, height, width]. */
const paper = [
  [32, 800, 640],
  [64, 400, 320],
  [128, 200, 160],
  [256, 100, 80],
  [256, 50, 40],
  [512, 25, 20],
]

const own = (name, ...words) => torch.call(`landmark_diffusion::${name}`, words)

/** Two sides of each kernel, and the least bytes that it must read and write. */
function* sides({ device, tiny }) {
  const channelsLast = (shape) =>
    torch
      .randn([1, ...shape], { device })
      .to('bfloat16')
      .contiguous({ memoryFormat: 'channels_last' })
  const ones = (count) => torch.ones([count], { device })

  for (const shape of tiny ? [[32, 40, 32]] : paper) {
    const [c] = shape
    const bytes = shape.reduce((product, n) => product * n) * 2
    const [x, dy, weight, bias] = [channelsLast(shape), channelsLast(shape), ones(c), ones(c)]
    const [w16, b16] = [weight.to('bfloat16'), bias.to('bfloat16')]
    const norm = (a, p, q) => own('group_norm_silu', a, p, q, 32, 1e-6)[0]
    const aten = (a, p, q) => torch.silu(torch.groupNorm(a, 32, p, q, 1e-6))
    const withGradients = (make, p, q) => {
      const inputs = [x, p, q].map((each) => each.detach().requiresGrad_())
      torch.grad([make(...inputs)], inputs, { gradOutputs: [dy] })
    }
    yield {
      kernel: 'group norm',
      shape,
      bytes: 3 * bytes,
      own: () => torch.noGrad(() => norm(x, weight, bias)),
      aten: () => torch.noGrad(() => aten(x, w16, b16)),
    }
    yield {
      kernel: 'group norm with backward',
      shape,
      bytes: 8 * bytes,
      own: () => withGradients(norm, weight, bias),
      aten: () => withGradients(aten, w16, b16),
    }
    // Only GPUs have it.
    if (!device.startsWith('cuda')) continue
    yield {
      kernel: 'residual and statistics',
      shape,
      bytes: 3 * bytes,
      own: () => own('residual_statistics', x, dy, bias, 32, 1e-6),
      aten: () => {
        const sum = x.add(dy).add(b16.reshape([1, c, 1, 1]))
        torch.call('aten::var_mean.correction', [sum.reshape([1, 32, -1]), [2]])
      },
    }
  }

  const [height, width] = tiny ? [40, 32] : [800, 640]
  const logits = channelsLast([19, height, width])
  const target = torch.randint(0, height * width, [1, 19], { dtype: 'int64', device })
  const mask = torch.ones([1, 19], { device })
  const gradientOf = (loss) => {
    const x = logits.detach().requiresGrad_()
    torch.grad([loss(x)], [x])
  }
  yield {
    kernel: 'loss with backward',
    shape: [19, height, width],
    bytes: 19 * height * width * 2 * 3,
    own: () =>
      gradientOf((x) => {
        const [nll, mse] = own('spatial_softmax_loss', x, target, mask)
        return nll.add(mse)
      }),
    aten: () =>
      gradientOf((x) => {
        const flat = x.to('float32').flatten(2)
        const picked = flat.logSoftmax(2).gather(2, target.unsqueeze(2))
        const hot = torch.full(flat.shape, -1, { device }).scatter(2, target.unsqueeze(2), 1)
        return flat.sub(hot).square().mean().sub(picked.mean())
      }),
  }

  const images = torch.rand([1, 1, height, width], { device }).mul(255)
  const [lattice, rows, columns] = [
    [1, 2, 19, 16],
    [height, 19],
    [16, width],
  ].map((shape) => torch.rand(shape, { device }).mul(0.2))
  const one = torch.ones([1, 1, 1, 1], { device })
  yield {
    kernel: 'augmentation',
    shape: [1, height, width],
    bytes: height * width * 8,
    own: () => own('augment', images, lattice, rows, columns, ...[null, null, null], one, one, 2),
    aten: () => {
      const grid = rows.matmul(lattice).matmul(columns).permute([0, 2, 3, 1])
      const sampled = torch.gridSampler(images, grid, 2, 2, true).clamp(0, 255)
      sampled.mul(one).clamp(0, 255).div(255).pow(one).mul(255)
    },
  }

  // As many parameters as the paper's network has, in as many tensors.
  const [tensors, length] = tiny ? [10, 1000] : [400, 97_000]
  const lists = Array.from({ length: 5 }, () =>
    Array.from({ length: tensors }, () => torch.rand([length], { device })),
  )
  const [p, g, m, v, average] = lists
  const steps = Array.from({ length: tensors }, () => torch.ones([], { device }))
  const settings = { lr: 1e-4, beta1: 0.9, beta2: 0.999, weight_decay: 1e-4, eps: 1e-8 }
  yield {
    kernel: 'optimiser and average',
    shape: [tensors, length],
    bytes: tensors * length * 4 * 9,
    own: () =>
      torch.call('landmark_diffusion::fused_adamw_ema_', [p, g, m, v, average, steps], {
        ...settings,
        ema_weight: 1e-3,
      }),
    aten: () => {
      torch.call('aten::_fused_adamw_', [p, g, m, v, [], steps], {
        ...settings,
        amsgrad: false,
        maximize: false,
      })
      torch.call('aten::_foreach_lerp_.Scalar', [average, p, 1e-3])
    },
  }
}

export async function kernels({ device, tiny, figure, interleaved, summary, inScope }) {
  let failed = 0
  for (const { kernel, shape, bytes, own, aten } of sides({ device, tiny })) {
    try {
      const both = { own: inScope(own), aten: inScope(aten) }
      const times = await interleaved(both, tiny ? 2 : 20)
      for (const [side, list] of Object.entries(times)) {
        const found = summary(list)
        const gigabytesPerSecond = bytes / found.ms / 1e6
        figure('kernel', { kernel, side, shape, ...found, gigabytesPerSecond })
      }
    } catch (error) {
      failed++
      figure('kernel', { kernel, shape, error: String(error.message).slice(0, 300) })
    }
  }
  if (failed > 0) throw new Error(`${failed} kernels failed`)
}
