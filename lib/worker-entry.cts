/**
 * What a thread of `workerPool` runs: the default export of the module that `workerData` names, by `import()`. A file of
 * CommonJS, since piscina tries `require` first, and Node aborts the process when a thread ends within `require` of an
 * ES module.
 */
import worker = require('node:worker_threads')

type Run = (task: unknown) => unknown

export = async (task: unknown) => {
  const { default: run } = (await import(worker.workerData)) as { default: Run }
  return run(task)
}
