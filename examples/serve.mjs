// Serves a network over HTTP with Fastify.
//   node examples/serve.mjs [digits.safetensors]        weights of train-digits.mjs
//   curl localhost:3000/health
// Ops run on a thread of their own, so the event loop stays free: requests are answered side by side. A client that
// hangs up cancels its own work only.
import { pathToFileURL } from 'node:url'
import Fastify from 'fastify'
import * as torch from 'landmark-diffusion/torch'
import { makeNetwork, size } from './digits.mjs'

/** Pictures that go through the network at once; between two batches a request can be cancelled. */
const batch = 16

export async function makeServer(weights) {
  const network = makeNetwork().eval()
  network.loadStateDict(await torch.load(weights))
  const server = Fastify({ bodyLimit: 64 * 2 ** 20, forceCloseConnections: true })
  const counts = { done: 0, cancelled: 0, batches: 0 }

  /** The digit of each picture. A scope of its own frees what this request made, also when it is cancelled. */
  async function read(pictures, signal) {
    const digits = []
    for (let start = 0; start < pictures.length; start += batch) {
      signal.throwIfAborted()
      const part = pictures.slice(start, start + batch)
      const found = await torch.scopeAsync(async () => {
        const pixels = torch.tensor(Float32Array.from(part.flat()), {
          shape: [part.length, 1, size, size],
        })
        return torch.inferenceMode(() => network.forward(pixels).argmax(1)).data()
      })
      digits.push(...Array.from(found, Number))
      counts.batches++
    }
    return digits
  }

  const picture = {
    type: 'array',
    minItems: size * size,
    maxItems: size * size,
    items: { type: 'number' },
  }
  const body = {
    type: 'object',
    required: ['pictures'],
    properties: { pictures: { type: 'array', items: picture } },
  }

  server.post('/digits', { schema: { body } }, async (request, reply) => {
    const hangUp = new AbortController()
    reply.raw.on('close', () => hangUp.abort())
    try {
      const digits = await read(request.body.pictures, hangUp.signal)
      counts.done++
      return { digits }
    } catch (error) {
      if (!hangUp.signal.aborted) throw error
      counts.cancelled++
      return reply
    }
  })

  server.get('/health', async () => ({ ...counts, tensors: torch.memory().tensors }))
  return server
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const server = await makeServer(process.argv[2] ?? 'digits.safetensors')
  const stop = () => server.close()
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
  console.log(`listening on ${await server.listen({ port: Number(process.env.PORT ?? 3000) })}`)
}
