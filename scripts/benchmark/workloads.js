// What is timed beside PyTorch: each workload gives its tensors (weights and inputs), a description of them for the other
// side, and ways to run it on ours.
import { NoiseSchedule, UNet, X0Objective } from 'landmark-diffusion'
import * as torch from 'landmark-diffusion/torch'

const landmarks = 19

/** A network whose layers that start at zero are filled too: zeros would hide differences. */
function network(options) {
  torch.manualSeed(0)
  const model = new UNet({ landmarks, dropout: 0, ...options })
  torch.noGrad(() => {
    for (const [name, parameter] of model.namedParameters()) {
      if (/(out_layers\.3|proj_out|^out\.2)\.weight$/.test(name)) parameter.normal_(0, 0.02)
    }
  })
  const weights = Object.fromEntries(
    [...model.namedParameters()].map(([name, parameter]) => [`weights.${name}`, parameter]),
  )
  const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  const described = Object.fromEntries(
    Object.entries({ landmarks, dropout: 0, ...options }).map(([name, value]) => [
      snake(name),
      value,
    ]),
  )
  return { model, weights, network: described }
}

function forwards({ height, width, steps = 1, attention, title }) {
  const { model, weights, network: described } = network({ attention })
  model.eval()
  const x = torch.randn([1, landmarks + 1, height, width])
  const t = torch.randint(0, 200, [1])
  const once = () => torch.noGrad(() => model.forward(x, t))
  const program = torch.program((x, t) => torch.noGrad(() => model.forward(x, t)))
  const repeat = async (forward) => {
    for (let i = 0; i < steps; i++) (await forward()).dispose()
    await torch.synchronize()
  }
  return {
    title,
    tensors: { ...weights, x, t },
    description: { kind: 'forward', network: described, steps },
    runs: { eager: () => repeat(once), program: () => repeat(() => program(x, t)) },
    result: async () => once(),
  }
}

function step({ height, width, options, title }) {
  const { model, weights, network: described } = network(options)
  const lr = 1e-4
  const objective = new X0Objective(
    new NoiseSchedule({ timesteps: 200, betaStart: 1e-4, betaEnd: 0.02 }),
  )
  const optimizer = new torch.optim.AdamW(model.parameters(), { lr, weightDecay: 1e-4 })
  const image = torch.rand([1, 1, height, width]).mul(2).sub(1)
  const target = torch.randint(0, width * height, [1, landmarks])
  const mask = torch.ones([1, landmarks])
  const t = torch.randint(0, 200, [1])
  const noise = torch.randn([1, landmarks, height, width])
  const copies = Object.fromEntries(
    Object.entries(weights).map(([name, tensor]) => [name, tensor.detach().clone()]),
  )
  let first
  const eager = async () => {
    const loss = await torch.scopeAsync(async () => {
      const result = objective.loss(model, { image, target, mask }, { t, noise })
      optimizer.zeroGrad()
      result.loss.backward()
      optimizer.step()
      const value = await result.loss.item()
      await torch.synchronize()
      return value
    })
    first ??= loss
  }
  return {
    title,
    tensors: { ...copies, image, target, mask, t, noise },
    description: { kind: 'step', network: described, lr },
    runs: { eager },
    result: async () => torch.tensor(Float32Array.of(first)),
  }
}

export const workloads = {
  forward: () =>
    forwards({
      height: 192,
      width: 160,
      attention: [8, 16],
      title: 'Forward pass, 192x160, attention at 8 and 16',
    }),
  'forward-large': () =>
    forwards({
      height: 640,
      width: 800,
      attention: [],
      title: 'Forward pass, 640x800, attention in the middle only',
    }),
  chain: () =>
    forwards({
      height: 192,
      width: 160,
      attention: [8, 16],
      steps: 10,
      title: 'Ten forward passes in a row, 192x160, attention at 8 and 16',
    }),
  step: () =>
    step({
      height: 192,
      width: 160,
      options: { attention: [8, 16] },
      title: 'Training step, 192x160, attention at 8 and 16, paper widths',
    }),
  'tiny-step': () =>
    step({
      height: 16,
      width: 16,
      options: {
        encoderChannels: [4, 8],
        decoderChannels: [8, 4],
        attention: [],
        resBlocks: 1,
        groups: 2,
      },
      title: 'Training step of a tiny network (4, 8 channels), 16x16',
    }),
}

/** |a - b| / |b|, flat. */
export async function relativeDistance(a, b) {
  return torch.scopeAsync(async () => {
    const wide = b.reshape([-1]).to('float64')
    const difference = a.detach().contiguous().reshape([-1]).to('float64').sub(wide)
    const [d, n] = [
      await difference.square().sum().sqrt().item(),
      await wide.square().sum().sqrt().item(),
    ]
    return d / n
  })
}
