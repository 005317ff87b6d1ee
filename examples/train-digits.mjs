// Trains a network to read digits that the example draws itself, and saves its weights.
//   node examples/train-digits.mjs [digits.safetensors]
// About ten seconds on one core; reads at least 97 % of the pictures that it has not seen.
import * as torch from 'landmark-diffusion/torch'
import { makeDigits, makeNetwork } from './digits.mjs'

const file = process.argv[2] ?? 'digits.safetensors'
const batch = 50
const epochs = 4

torch.manualSeed(1)
const training = makeDigits(3000)
const unseen = makeDigits(1000)
const network = makeNetwork()
const optimizer = new torch.optim.AdamW(network.parameters(), { lr: 2e-3 })
console.log(`${network}\n${network.parameterCount()} parameters`)

/** Share of pictures whose digit has the highest score. */
async function accuracy({ pictures, digits }) {
  network.eval()
  const right = torch.noGrad(() =>
    torch.scope(() => network.forward(pictures).argmax(1).eq(digits).float().mean()),
  )
  network.train()
  return await right.item()
}

for (let epoch = 1; epoch <= epochs; epoch++) {
  const order = torch.randperm(training.digits.numel)
  let loss
  for (let start = 0; start < order.numel; start += batch) {
    // All of a step is queued at once, and freed at the end of its scope but for the loss.
    loss?.dispose()
    loss = torch.scope(() => {
      const chosen = order.narrow(0, start, batch)
      const scores = network.forward(training.pictures.indexSelect(0, chosen))
      const value = torch.nn.functional.crossEntropy(scores, training.digits.indexSelect(0, chosen))
      optimizer.zeroGrad()
      value.backward()
      optimizer.step()
      return value.detach()
    })
    await torch.synchronize()
  }
  const share = await accuracy(unseen)
  console.log(
    `epoch ${epoch}: loss ${(await loss.item()).toFixed(3)}, unseen ${(100 * share).toFixed(1)} %`,
  )
}

await torch.save(file, network.stateDict())
console.log(`weights in ${file}`)
