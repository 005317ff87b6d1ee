// What is timed beside PyTorch: each workload is a configuration, and the weights and inputs that both sides are given.
import { loadConfig, UNet } from 'landmark-diffusion'
import * as torch from 'landmark-diffusion/torch'

const landmarks = 19
const epochImages = 8

const paper = ({ width, height, attention }) => ({
  width,
  height,
  set: [`model.attention=${JSON.stringify(attention)}`],
})
const low = paper({ width: 160, height: 192, attention: [8, 16] })
const tiny = {
  width: 16,
  height: 16,
  set: [
    'model.encoderChannels=[4, 8]',
    'model.decoderChannels=[8, 4]',
    'model.attention=[]',
    'model.resBlocks=1',
    'model.groups=2',
  ],
}

/** kind: what is repeated; see `ours.js` and `pytorch_variant.py`, which agree on these names. */
const kinds = {
  forward: {
    ours: ['ours-eager', 'ours-program'],
    inputs: ({ width, height, batch }) => ({
      x: torch.randn([batch, landmarks + 1, height, width]),
      t: torch.randint(0, 200, [batch]),
    }),
  },
  chain: {
    // Evaluation by evaluation, as `predict` does, and the whole chain as one program.
    ours: ['ours-eager', 'ours-program', 'ours-program-of-chain'],
    inputs: ({ width, height, batch, evaluations }) => ({
      image: randomImages(batch, width, height),
      noise: torch.randn([evaluations, batch, landmarks, height, width]),
    }),
  },
  step: {
    ours: ['ours-eager', 'ours-program'],
    inputs: ({ width, height, batch }) => ({
      image: randomImages(batch, width, height),
      target: torch.randint(0, width * height, [batch, landmarks]),
      mask: torch.ones([batch, landmarks]),
      t: torch.randint(0, 200, [batch]),
      noise: torch.randn([batch, landmarks, height, width]),
    }),
  },
  epoch: {
    ours: ['ours-eager', 'ours-program'],
    // Each side draws its own order, augmentation, t, noise and dropout, so that losses are alike and not equal.
    tolerance: 0.05,
    dropout: 0.1,
    inputs: ({ width, height }) => ({
      images: torch.randint(0, 256, [epochImages, height, width], { dtype: 'uint8' }),
      points: torch.rand([epochImages, landmarks, 2]).mul(torch.tensor([width - 1, height - 1])),
    }),
  },
}

function randomImages(batch, width, height) {
  return torch.rand([batch, 1, height, width]).mul(2).sub(1)
}

const descriptions = {
  step: { kind: 'step', ...low, title: 'Training step, 192x160, attention at 8 and 16' },
  epoch: {
    kind: 'epoch',
    ...low,
    title: `An epoch of ${epochImages} images with loader, augmentation and average, 192x160, attention at 8 and 16`,
  },
  forward: { kind: 'forward', ...low, title: 'Forward pass, 192x160, attention at 8 and 16' },
  'forward-large': {
    kind: 'forward',
    ...paper({ width: 800, height: 640, attention: [] }),
    title: 'Forward pass, 640x800, attention in the middle only',
  },
  chain: { kind: 'chain', ...low, title: 'Reverse chain of 10, 192x160, attention at 8 and 16' },
  'tiny-step': { kind: 'step', ...tiny, title: 'Training step of a tiny network, 16x16' },
  'tiny-forward': { kind: 'forward', ...tiny, title: 'Forward pass of a tiny network, 16x16' },
  'tiny-chain': { kind: 'chain', ...tiny, title: 'Reverse chain of 10, a tiny network, 16x16' },
}

export const workloadNames = Object.keys(descriptions)

/** What both sides need: `description` goes to them as JSON, `tensors` as safetensors. */
export function makeWorkload(name, precision = 'float32') {
  const { title, ...options } = descriptions[name]
  const { ours, tolerance = 1e-4 } = kinds[options.kind]
  return { title, kind: options.kind, ours, tolerance, ...makeCase({ ...options, precision }) }
}

/** The same of any size. set: of the configuration; evaluations: of a chain. */
export function makeCase({
  kind,
  width,
  height,
  set,
  batch = 1,
  evaluations = 10,
  precision = 'float32',
}) {
  const config = loadConfig({
    preset: 'paper',
    set: [
      ...set,
      `train.precision=${precision}`,
      `data.width=${width}`,
      `data.height=${height}`,
      `model.dropout=${kinds[kind].dropout ?? 0}`,
      'diffusion.channelDropout=0',
      `sampling.steps=${evaluations}`,
    ],
  })
  torch.manualSeed(0)
  const inputs = kinds[kind].inputs({ width, height, batch, evaluations })
  return {
    tensors: { ...weightsOf(config), ...inputs },
    description: { kind, config, landmarks },
  }
}

/** Of a network whose layers that start at zero are filled too: zeros would hide differences. */
function weightsOf({ model }) {
  const network = new UNet({ landmarks, ...model })
  torch.noGrad(() => {
    for (const [name, parameter] of network.namedParameters()) {
      if (/(out_layers\.3|proj_out|^out\.2)\.weight$/.test(name)) parameter.normal_(0, 0.02)
    }
  })
  return Object.fromEntries(
    [...network.namedParameters()].map(([name, parameter]) => [
      `weights.${name}`,
      parameter.detach(),
    ]),
  )
}
