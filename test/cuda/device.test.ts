/** What must hold on a device (scripts/gpu/checks.mjs): on the CPU always, on the first GPU where there is one. */
import { describe, test } from 'vitest'
import * as torch from '#lib/torch/index.js'
import { checks } from '../../scripts/gpu/checks.mjs'

describe('on the CPU', () => {
  for (const { name, run } of checks) test(name, () => run('cpu'))
})

const reason = torch.cuda.whyUnavailable()
describe(reason === null ? 'on cuda:0' : `on cuda:0 (skipped: ${reason})`, () => {
  for (const { name, run } of checks) test.skipIf(reason !== null)(name, () => run('cuda:0'))
})
