/** Tests run the compiled package (`dist`), in forked processes, because a native addon lives as long as its process. */

import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    // Two files at a time, one OpenMP thread each: more threads than cores make OpenMP's barriers spin for ever.
    maxWorkers: 2,
    env: { OMP_NUM_THREADS: '1', MKL_NUM_THREADS: '1', LANDMARK_DIFFUSION_NICE: '0' },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 10_000,
    passWithNoTests: false,
  },
})
