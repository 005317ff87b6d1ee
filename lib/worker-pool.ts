import { Piscina } from 'piscina'

/**
 * Worker threads that run the default export of an ES module, given by URL. They may be ended at any moment, also while
 * they start.
 */
export function workerPool<Task, Result>(
  module: URL,
  options: { minThreads: number; maxThreads: number; idleTimeout?: number },
): Piscina<Task, Result> {
  return new Piscina<Task, Result>({
    ...options,
    filename: new URL('./worker-entry.cjs', import.meta.url).href,
    workerData: module.href,
  })
}
