// A small network for the tests of the reducer, the same in every process.
import * as torch from 'landmark-diffusion/torch'

/** Parameters of several shapes and dtypes, one of them channels_last; the loss of batch `seed`. */
export function network() {
  torch.manualSeed(7)
  const weight = torch.randn([4, 3, 3, 3]).contiguous({ memoryFormat: 'channels_last' })
  const conv = weight.requiresGrad_()
  const bias = torch.randn([4]).requiresGrad_()
  const linear = torch.randn([5, 4], { dtype: 'float64' }).requiresGrad_()
  const loss = (seed) => {
    torch.manualSeed(100 + seed)
    const x = torch.randn([2, 3, 6, 6])
    const hidden = torch.conv2d(x, conv, bias).tanh().mean([2, 3]).to('float64')
    return hidden.matmul(linear.t()).square().sum()
  }
  return { parameters: [conv, bias, linear], loss }
}

/** @param {readonly torch.Tensor[]} parameters */
export function gradientsOf(parameters) {
  return Promise.all(parameters.map(async ({ grad }) => Array.from(await grad.data())))
}
