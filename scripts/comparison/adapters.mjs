// One adapter a binding: how it multiplies two large matrices and gives a value of the result, how it computes a
// tensor of one MiB, with and without freeing it, and how many operators it offers. `of` takes the loaded module.
import { matmulModel } from './onnx-model.mjs'

/** Side of the square matrices: a heavy op takes some hundred milliseconds of one core. */
const side = 2048

export const adapters = {
  'landmark-diffusion': {
    module: 'landmark-diffusion/torch',
    async of(torch) {
      const x = torch.randn([side, side])
      const small = torch.zeros([512, 512])
      const value = async () => {
        const sum = torch.scope(() => x.matmul(x).sum())
        const found = await sum.item()
        sum.dispose()
        return found
      }
      return {
        prepare: value,
        heavy: value,
        drop: async () => {
          torch.scope(() => void small.add(1))
          await torch.synchronize()
        },
        dropFreely: async () => {
          small.add(1)
          await torch.synchronize()
        },
        operators: () => `${torch.ops().length} schemas`,
      }
    },
  },
  '@tensorflow/tfjs-node': {
    module: '@tensorflow/tfjs-node',
    async of(tf) {
      const x = tf.randomNormal([side, side])
      const small = tf.zeros([512, 512]).add(1)
      const value = async () => {
        const sum = tf.tidy(() => tf.matMul(x, x).sum())
        const [found] = await sum.data()
        sum.dispose()
        return found
      }
      return {
        prepare: value,
        heavy: value,
        drop: async () => tf.tidy(() => void small.add(1)),
        dropFreely: async () => void small.add(1),
        operators: () => `${tf.getKernelsForBackend('tensorflow').length} kernels`,
      }
    },
  },
  'onnxruntime-node': {
    module: 'onnxruntime-node',
    async of(ort) {
      const options = { intraOpNumThreads: 1, interOpNumThreads: 1 }
      const session = await ort.InferenceSession.create(matmulModel(side), options)
      const values = Float32Array.from({ length: side * side }, Math.random)
      const x = new ort.Tensor('float32', values, [side, side])
      const small = await ort.InferenceSession.create(matmulModel(512), options)
      const y = new ort.Tensor('float32', values.subarray(0, 512 * 512), [512, 512])
      const value = async () => {
        const { y: product } = await session.run({ x })
        return product.data[0]
      }
      return {
        prepare: value,
        heavy: value,
        drop: async () => {
          const { y: product } = await small.run({ x: y })
          product.dispose()
        },
        dropFreely: async () => void (await small.run({ x: y })),
        operators: () => 'those of ONNX, in whole models',
      }
    },
  },
  '@jax-js/jax': {
    module: '@jax-js/jax',
    async of(jax) {
      const { numpy: np } = jax
      await jax.init('wasm')
      jax.defaultDevice('wasm')
      const n = 512 // WebAssembly takes as long for this as the others for more
      const x = jax.random.normal(jax.random.key(0), [n, n])
      const value = async () => {
        const product = np.matmul(x.ref, x.ref)
        return (await np.sum(product).data())[0]
      }
      const functions = (space) =>
        Object.values(space).filter((entry) => typeof entry === 'function').length
      return {
        prepare: value,
        heavy: value,
        drop: async () => {
          const made = np.zeros([512, 512]).add(1)
          await jax.blockUntilReady(made)
          made.dispose()
        },
        dropFreely: async () => void (await jax.blockUntilReady(np.zeros([512, 512]).add(1))),
        operators: () =>
          `${functions(np) + functions(jax.lax) + functions(jax.nn)} functions of numpy, lax and nn`,
      }
    },
  },
}
