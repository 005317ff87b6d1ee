// One network for several worker threads: each one runs it, none copies its weights.
//   node examples/share-among-workers.mjs [digits.safetensors]        weights of train-digits.mjs
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import * as torch from 'landmark-diffusion/torch'
import { makeDigits, makeNetwork } from './digits.mjs'

if (isMainThread) {
  const network = makeNetwork().eval()
  network.loadStateDict(await torch.load(process.argv[2] ?? 'digits.safetensors'))

  const workers = Array.from({ length: 3 }, () => new Worker(new URL(import.meta.url)))
  /** What each worker answers to a message; `make` gives the message, as a handle is good for one receiver. */
  const ask = (make) =>
    Promise.all(
      workers.map((worker) => {
        worker.postMessage(make())
        return new Promise((resolve, reject) => {
          worker.once('message', resolve).once('error', reject)
        })
      }),
    )

  const shares = await ask(() => ({ weights: torch.share(network.stateDict()) }))
  for (const [i, share] of shares.entries()) console.log(`worker ${i}: ${percent(share)} right`)

  // It is one memory: what the main thread writes, the workers see. All weights zero, all scores equal.
  torch.noGrad(() => {
    for (const weight of network.parameters()) weight.zero_()
  })
  const after = await ask(() => ({ again: true }))
  console.log(`after the main thread zeroed the weights: ${after.map(percent).join(', ')}`)
  await Promise.all(workers.map((worker) => worker.terminate()))
} else {
  const network = makeNetwork().eval()
  const { pictures, digits } = makeDigits(200)
  parentPort.on('message', async ({ weights }) => {
    // `assign` makes the network take these tensors, in place of copying their values.
    if (weights) network.loadStateDict(torch.fromShared(weights), { assign: true })
    const right = torch.scope(() =>
      torch.inferenceMode(() => network.forward(pictures).argmax(1).eq(digits).float().mean()),
    )
    parentPort.postMessage(await right.item())
    right.dispose()
  })
}

function percent(share) {
  return `${(100 * share).toFixed(1)} %`
}
