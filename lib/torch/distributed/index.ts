/** Several processes, one a device: `torch.distributed` (docs/distributed.md). */
export {
  type AllReduceOptions,
  allReduce,
  barrier,
  beginExchange,
  broadcast,
  destroyProcessGroup,
  exchanged,
  getRank,
  getWorldSize,
  initProcessGroup,
  isInitialized,
  type ProcessGroupOptions,
  type Reduction,
  Work,
} from './group.js'
export { Reducer, type ReducerOptions } from './reducer.js'
export { findRendezvous, localRank, type Rendezvous, type RendezvousOptions } from './rendezvous.js'
