// What must hold on a device, one function a statement, so that they run under vitest (test/cuda) and with nothing
// but Node (scripts/gpu-check). Each takes the device's name and throws where the statement is false. They run on the
// CPU too, as their own test.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NoiseSchedule, synthesize, train, UNet, X0Objective } from 'landmark-diffusion'
import * as torch from 'landmark-diffusion/torch'

const isCuda = (device) => device.startsWith('cuda')

/** Relative distance of two tensors, wherever they are. */
async function distance(made, wanted) {
  const a = made.to('cpu').to('float64')
  const b = wanted.to('cpu').to('float64')
  return Number(await a.sub(b).norm().div(b.norm().clamp(1e-12)).item())
}

async function near(made, wanted, limit, what) {
  const found = await distance(made, wanted)
  assert.ok(found < limit, `${what}: relative distance ${found}, at most ${limit} is allowed`)
}

function smallNetwork(options = {}) {
  return new UNet({
    landmarks: 3,
    encoderChannels: [32, 64, 64],
    decoderChannels: [64, 64, 32],
    resBlocks: 1,
    attention: [4],
    dropout: 0,
    ...options,
  })
}

export const checks = [
  {
    name: 'values go to the device and come back as they were',
    async run(device) {
      for (const values of [
        new Float32Array([1.5, -2, Number.NaN]),
        new BigInt64Array([1n, -(2n ** 60n)]),
        new Uint8Array(100_000).fill(7),
      ]) {
        const x = torch.tensor(values, { device })
        assert.match(x.device, isCuda(device) ? /^cuda:\d+$/ : /^cpu$/)
        assert.deepEqual(await x.data(), values)
      }
    },
  },
  {
    name: 'a value that is read is of the moment of the call, whatever is queued behind it',
    async run(device) {
      const x = torch.zeros([1 << 16], { device })
      const read = x.data()
      for (let i = 0; i < 50; i++) x.add_(1)
      assert.equal((await read)[123], 0)
      assert.equal((await x.data())[123], 50)
    },
  },
  {
    name: 'the event loop goes on while the device computes',
    async run(device) {
      let turns = 0
      const timer = setInterval(() => turns++, 1)
      await torch.scopeAsync(async () => {
        // A tenth of a second of work at least, on a GPU too.
        const size = isCuda(device) ? 4096 : 1024
        let x = torch.randn([size, size], { device }).mul(1e-3)
        for (let i = 0; i < 60; i++) x = x.matmul(x)
        await torch.synchronize(device)
      })
      clearInterval(timer)
      assert.ok(turns > 3, `only ${turns} turns`)
    },
  },
  {
    name: 'a seed gives the same numbers again, and a saved state goes on',
    async run(device) {
      const generator = new torch.Generator(device, 5)
      const draw = () => torch.randn([1000], { generator, device }).data()
      const first = await draw()
      const state = await generator.getState()
      const second = await draw()
      generator.setState(state)
      assert.deepEqual(await draw(), second)
      generator.manualSeed(5)
      assert.deepEqual(await draw(), first)
      const saved = await torch.getRngState(device)
      const drop = () => torch.rand([100], { device }).data()
      const before = await drop()
      torch.setRngState(saved, device)
      assert.deepEqual(await drop(), before)
    },
  },
  {
    name: 'convolution, attention and their gradients equal the CPU',
    async run(device) {
      torch.cuda.setOptions({ tf32Convolutions: false, tf32Matmul: false })
      torch.manualSeed(1)
      const model = smallNetwork()
      for (const parameter of model.parameters())
        torch.noGrad(() => parameter.add_(torch.randn(parameter.shape).mul(0.02)))
      const x = torch.randn([2, 4, 32, 24])
      const t = torch.tensor(new BigInt64Array([3n, 100n]))
      const run = async (on) => {
        model.to(on)
        model.zeroGrad()
        const y = model.forward(x.to(on), t.to(on))
        y.square().mean().backward()
        return [
          y.detach().to('cpu'),
          ...[...model.parameters()].map((p) => p.grad.to('cpu').clone()),
        ]
      }
      const wanted = await run('cpu')
      const made = await run(device)
      for (const [i, tensor] of made.entries())
        await near(tensor, wanted[i], 2e-4, i === 0 ? 'output' : `gradient ${i}`)
      model.dispose()
      torch.cuda.setOptions({ tf32Convolutions: true })
    },
  },
  {
    name: 'in bfloat16 all activations are bfloat16, and weights, their gradients, statistics and loss float32',
    async run(device) {
      const model = smallNetwork({ dropout: 0.1 }).to(device)
      const objective = new X0Objective(new NoiseSchedule({ timesteps: 200 }), { device })
      const image = torch.rand([2, 1, 32, 24], { device })
      const target = torch.randint(0, 32 * 24, [2, 3], { dtype: 'int64', device })
      const mask = torch.ones([2, 3], { device })
      const type = isCuda(device) ? 'cuda' : 'cpu'
      const step = torch.program(() => {
        const { loss } = torch.autocast(type, 'bfloat16', () =>
          objective.loss(model, { image, target, mask }),
        )
        const gradients = torch.grad([loss], [...model.parameters()])
        return { loss: loss.detach(), gradients }
      })
      const { loss, gradients } = await step()
      assert.ok(Number.isFinite(await loss.item()))
      assert.equal(loss.dtype, 'float32')
      for (const gradient of gradients) assert.equal(gradient.dtype, 'float32')
      const lines = step.toString().split('\n')
      // What is between the layers: [2, channels, H, W], of at least the 32 channels that the narrowest has.
      const wide = lines.filter((line) =>
        /^%\d+: float32\[2, (3[2-9]|[4-9]\d|\d{3}), \d+, \d+\]/.test(line),
      )
      assert.deepEqual(wide, [])
      const norms = lines.filter((line) => /landmark_diffusion::group_norm(_silu)?\(/.test(line))
      assert.ok(norms.length > 5)
      for (const line of norms)
        assert.match(
          line,
          /^%\d+: bfloat16\[[^\]]*\]\S*, %\d+: float32\[2, 32\]\S*, %\d+: float32\[2, 32\]\S* =/,
        )
      const losses = lines.filter((line) => /landmark_diffusion::spatial_softmax_loss\(/.test(line))
      assert.equal(losses.length, 1)
      // Both losses, and each channel's largest logit and sum of exponentials.
      assert.match(losses[0], /^(%\d+: float32\[[^\]]*\],? ){4}=/)
      step.dispose()
      model.dispose()
    },
  },
  {
    name: 'group norm with SiLU and its gradients equal ATen, in both precisions',
    async run(device) {
      if (!torch.ops().includes('landmark_diffusion::group_norm_silu')) return
      for (const [dtype, limit] of [
        ['float32', 1e-5],
        ['bfloat16', 8e-3],
      ]) {
        for (const [n, c, h, w] of [
          [1, 32, 80, 64],
          [2, 96, 20, 17],
          [1, 512, 5, 4],
          [1, 30, 3, 3],
        ]) {
          const x = torch
            .randn([n, c, h, w], { device })
            .add(0.5)
            .to(dtype)
            .contiguous({ memoryFormat: 'channels_last' })
          const groups = c % 32 === 0 ? 32 : 10
          const [weight, bias] = [
            torch.rand([c], { device }).add(0.5),
            torch.randn([c], { device }),
          ]
          const dy = torch.randn([n, c, h, w], { device }).to(dtype)
          const gradients = (make, inputs) =>
            torch.grad([make(...inputs)], inputs, { gradOutputs: [dy.to(inputs[0].dtype)] })
          const own = [x, weight, bias].map((each) => each.detach().requiresGrad_())
          const exact = [x, weight, bias].map((each) =>
            each.detach().to('cpu').to('float64').requiresGrad_(),
          )
          const call = (a, b, d) =>
            torch.call('landmark_diffusion::group_norm_silu', [a, b, d, groups, 1e-6])[0]
          const aten = (a, b, d) => torch.silu(torch.groupNorm(a, groups, b, d, 1e-6))
          await near(
            call(...own).detach(),
            aten(...exact).detach(),
            limit,
            `y of ${dtype} [${n}, ${c}, ${h}, ${w}]`,
          )
          const made = gradients(call, own)
          const wanted = torch.grad([aten(...exact)], exact, {
            gradOutputs: [dy.to('cpu').to('float64')],
          })
          for (const [i, name] of ['x', 'weight', 'bias'].entries())
            await near(made[i], wanted[i], limit, `gradient of ${name}, ${dtype}`)
        }
      }
    },
  },
  {
    name: 'two runs of group norm give the same bits',
    async run(device) {
      if (!torch.ops().includes('landmark_diffusion::group_norm_silu')) return
      const x = torch.randn([1, 64, 160, 128], { device })
      const call = () =>
        torch.call('landmark_diffusion::group_norm_silu', [x, null, null, 32, 1e-6])[0].data()
      assert.deepEqual(await call(), await call())
    },
  },
  {
    name: 'the fused loss and its gradient equal ATen',
    async run(device) {
      if (!torch.ops().includes('landmark_diffusion::spatial_softmax_loss')) return
      const logits = torch.randn([2, 19, 40, 32], { device }).mul(3)
      const target = torch.randint(0, 40 * 32, [2, 19], { dtype: 'int64', device })
      const mask = torch.rand([2, 19], { device }).gt(0.2).to('float32')
      const x = logits.detach().requiresGrad_()
      const [nll, mse] = torch.call('landmark_diffusion::spatial_softmax_loss', [x, target, mask])
      const [dx] = torch.grad([nll.add(mse)], [x])
      const y = logits.to('cpu').to('float64').detach().requiresGrad_()
      const [m, at] = [mask.to('cpu').to('float64'), target.to('cpu')]
      const known = m.sum()
      const flat = y.flatten(2)
      const picked = flat.logSoftmax(2).gather(2, at.unsqueeze(2)).squeeze(2)
      const x0 = torch
        .full(flat.shape, -1, { dtype: 'float64' })
        .scatter(2, at.unsqueeze(2), m.mul(2).sub(1).unsqueeze(2))
      const exact = picked
        .mul(m)
        .sum()
        .neg()
        .add(flat.sub(x0).square().mean(2).mul(m).sum())
        .div(known)
      const [wanted] = torch.grad([exact], [y])
      await near(nll.add(mse).detach(), exact.detach(), 1e-5, 'loss')
      await near(dx, wanted, 1e-5, 'gradient')
    },
  },
  {
    name: 'augmentation equals the CPU, however its outside is filled, and whatever TF32 is set to',
    async run(device) {
      torch.cuda.setOptions({ tf32Matmul: true })
      const shapes = [
        ...[
          [2, 1, 80, 64],
          [2, 2, 6, 5],
          [80, 6],
          [5, 64],
        ],
        ...[
          [2, 1, 80, 1],
          [2, 1, 1, 64],
          [2, 1, 1, 1],
          [2, 1, 1, 1],
          [2, 1, 1, 1],
        ],
      ]
      const given = shapes.map((shape) => torch.rand(shape))
      const [images, lattice, rows, columns, down, across, grey, factor, exponent] = given
      for (const each of [images, grey]) each.mul_(255)
      lattice.sub_(0.5).mul_(0.5)
      for (const each of [down, across]) each.round_()
      for (const each of [factor, exponent]) each.add_(0.5)
      for (const each of [rows, columns]) each.mul_(0.5)
      for (const padding of [0, 1, 2]) {
        const call = (on, dtype) =>
          torch.call('landmark_diffusion::augment', [
            ...given.map((each) => each.to(on).to(dtype)),
            padding,
          ])
        const wanted = call('cpu', 'float64')
        await near(call(device, 'float32'), wanted, 1e-4, `padding ${padding}`)
      }
      torch.cuda.setOptions({ tf32Matmul: false })
    },
  },
  {
    name: 'the fused optimiser with its average equals the formulas',
    async run(device) {
      if (!torch.ops().includes('landmark_diffusion::fused_adamw_ema_')) return
      const shapes = [[3], [4097], [64, 33]]
      const make = () => shapes.map((shape) => torch.randn(shape, { device }))
      const [p, g, m, average] = [make(), make(), make(), make()]
      const v = shapes.map((shape) => torch.rand(shape, { device }))
      const steps = shapes.map(() => torch.full([], 7, { dtype: 'float32', device }))
      const exact = (i) => {
        const [w, gradient, mean, square, mu] = [p, g, m, v, average].map((list) =>
          list[i].to('cpu').to('float64'),
        )
        const m1 = mean.mul(0.9).add(gradient.mul(0.1))
        const v1 = square.mul(0.999).add(gradient.square().mul(0.001))
        const root = v1
          .div(1 - 0.999 ** 7)
          .sqrt()
          .add(1e-8)
        const w1 = w.mul(1 - 1e-3 * 0.01).sub(
          m1
            .div(1 - 0.9 ** 7)
            .div(root)
            .mul(1e-3),
        )
        return [w1, m1, v1, mu.add(w1.sub(mu).mul(0.1))]
      }
      const wanted = shapes.map((_, i) => exact(i))
      torch.call('landmark_diffusion::fused_adamw_ema_', [p, g, m, v, average, steps], {
        lr: 1e-3,
        beta1: 0.9,
        beta2: 0.999,
        weight_decay: 0.01,
        eps: 1e-8,
        ema_weight: 0.1,
      })
      for (const i of shapes.keys()) {
        for (const [k, list] of [p, m, v, average].entries())
          await near(list[i], wanted[i][k], 1e-6, `parameter ${i}, list ${k}`)
      }
    },
  },
  {
    name: 'a program as a graph gives what it gives without one, with fresh random numbers at each call',
    async run(device) {
      const weight = torch.randn([64, 64], { device }).mul(0.1)
      const make = (graph) =>
        torch.program(
          (x, generator) => {
            weight.mul_(0.999)
            return torch
              .tanh(x.matmul(weight))
              .add(torch.randn(x.shape, { generator, device }).mul(0.01))
          },
          { passes: { cudaGraph: graph } },
        )
      const start = await weight.clone()
      const inputs = Array.from({ length: 8 }, () => torch.randn([16, 64], { device }))
      const outputs = []
      for (const graph of [false, true]) {
        torch.noGrad(() => weight.copy_(start))
        const generator = new torch.Generator(device, 11)
        const step = make(graph)
        const results = []
        for (const x of inputs) results.push(await step(x, generator))
        outputs.push(await Promise.all(results.map((result) => result.data())))
        const { graph: state } = step.stats()
        if (graph && isCuda(device)) assert.equal(state, 'captured')
        step.dispose()
      }
      assert.deepEqual(outputs[1], outputs[0])
      assert.notDeepEqual(outputs[0][6], outputs[0][7])
    },
  },
  {
    name: 'a program trains through pooling and embedding, whose indices lie on the device',
    async run(device) {
      torch.manualSeed(3)
      const embedding = new torch.nn.Embedding(10, 8).to(device)
      const conv = new torch.nn.Conv2d(1, 4, 3, { padding: 1 }).to(device)
      const parameters = [...embedding.parameters(), ...conv.parameters()]
      const step = (x, words) => {
        const features = torch.nn.functional.maxPool2d(conv.forward(x), 2).flatten(2)
        const value = torch
          .matmul(features, embedding.forward(words).transpose(1, 2))
          .square()
          .mean()
        return [value.detach(), ...torch.grad(value, parameters)]
      }
      const program = torch.program(step)
      const words = torch.tensor(new BigInt64Array([1n, 4n, 4n, 9n]), { shape: [2, 2], device })
      for (let i = 0; i < 6; i++) {
        const x = torch.randn([2, 1, 4, 8], { device })
        const wanted = step(x, words)
        for (const [k, made] of (await program(x, words)).entries())
          await near(made, wanted[k], 1e-5, `result ${k}`)
      }
      program.dispose()
    },
  },
  {
    name: 'training runs, goes on from its checkpoint, and its steps are graphs',
    async run(device) {
      const folder = mkdtempSync(join(tmpdir(), 'gpu-train-'))
      try {
        const data = join(folder, 'data')
        await synthesize(data, { count: 8, size: { width: 121, height: 150 }, seed: 3 })
        const lastOf = async (name, set, more = {}) => {
          let end
          let steps = 0
          const settings = ['train.precision=auto', 'train.validation.images=0', ...set]
          const options = { preset: 'tiny', data, out: join(folder, name), device, set: settings }
          for await (const event of train({ ...options, ...more })) {
            if (event.type === 'step') steps++
            if (event.type === 'step') assert.ok(Number.isFinite(event.loss))
            if (event.type === 'end') end = event
          }
          return { ...end, steps }
        }
        const first = await lastOf('augmented', ['train.steps=12'])
        assert.equal(first.steps, 12)
        const second = await lastOf('augmented', ['train.steps=15'], { resume: true })
        assert.equal(second.steps, 3)
        // Always the same recording, so that there are calls enough.
        const { programs } = await lastOf('plain', ['train.steps=12', 'augmentation=null'])
        assert.ok(programs.replayed > 5)
        if (isCuda(device)) assert.equal(programs.graph, 'captured')
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    },
  },
  {
    name: 'memory is counted by device, and comes back',
    async run(device) {
      const on = isCuda(device) ? 'cuda:0' : 'cpu'
      const bytes = () => torch.memory().devices[on]?.bytes ?? 0
      await torch.synchronize(device)
      const before = bytes()
      const x = torch.zeros([1 << 22], { device })
      await torch.synchronize(device)
      assert.ok(bytes() >= before + (1 << 24))
      x.dispose()
      await torch.synchronize(device)
      assert.ok(bytes() <= before + (1 << 20))
    },
  },
  {
    name: 'a tensor that does not fit is an error with figures, and the next one works',
    async run(device) {
      const error = await (async () =>
        torch
          .zeros([2 ** 42], { device })
          .sum()
          .item())().then(
        () => null,
        (found) => found,
      )
      assert.equal(error?.code, 'ERR_OUT_OF_MEMORY')
      assert.ok(error.outOfMemory.wanted >= 2 ** 42)
      assert.ok(error.outOfMemory.free > 0)
      assert.equal(await torch.ones([3], { device }).sum().item(), 3)
    },
  },
  {
    name: 'hooks and gradients of JavaScript functions work on the device',
    async run(device) {
      const x = torch.ones([4], { device, requiresGrad: true })
      let seen = 0
      x.registerHook((gradient) => {
        seen++
        return gradient.mul(2)
      })
      x.square().sum().backward()
      assert.deepEqual([...(await x.grad.data())], [4, 4, 4, 4])
      assert.equal(seen, 1)
    },
  },
]
