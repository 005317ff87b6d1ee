import * as torch from 'landmark-diffusion/torch'
import { describe, expect, test } from 'vitest'

const { findRendezvous, localRank } = torch.distributed
const good = { MASTER_ADDR: 'node7', MASTER_PORT: '29500', RANK: '1', WORLD_SIZE: '4' }

describe('the meeting point', () => {
  test('comes from the variables that torchrun sets', () => {
    expect(findRendezvous({}, good)).toEqual({
      host: 'node7',
      port: 29500,
      rank: 1,
      worldSize: 4,
      serve: false,
    })
    expect(findRendezvous({}, { ...good, RANK: '0' }).serve).toBe(true)
    const agent = { ...good, RANK: '0', TORCHELASTIC_USE_AGENT_STORE: 'True' }
    expect(findRendezvous({}, agent).serve).toBe(false)
    expect(localRank({ LOCAL_RANK: '3' })).toBe(3)
    expect(localRank({})).toBe(0)
  })

  test('comes from an address and numbers', () => {
    const options = { initMethod: 'tcp://[::1]:4000', rank: 0, worldSize: 2 }
    expect(findRendezvous(options, {})).toMatchObject({ host: '::1', port: 4000, serve: true })
  })

  test.each([
    ['MASTER_ADDR', undefined],
    ['MASTER_ADDR', ''],
    ['MASTER_PORT', '0'],
    ['MASTER_PORT', '70000'],
    ['MASTER_PORT', '80; rm'],
    ['RANK', '4'],
    ['RANK', '-1'],
    ['RANK', '1e9'],
    ['WORLD_SIZE', '0'],
    ['WORLD_SIZE', 'NaN'],
    ['WORLD_SIZE', '99999999999999999999'],
  ])('%s = %s is refused with its name', (name, value) => {
    let thrown: unknown
    try {
      findRendezvous({}, { ...good, [name]: value })
    } catch (error) {
      thrown = error
    }
    expect(thrown).toMatchObject({
      code: 'ERR_DISTRIBUTED',
      message: expect.stringContaining(name),
    })
  })

  test.each(['http://host:1', 'tcp://host', 'tcp://:80', 'env:/'])(
    '%s is no address',
    (initMethod) => {
      expect(() => findRendezvous({ initMethod }, good)).toThrow('env:// or tcp://host:port')
    },
  )
})
