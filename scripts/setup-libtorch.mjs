// `npm run setup`: makes sure that a libtorch is there, before anything is installed or built.

import { main } from './libtorch/setup.mjs'

process.exitCode = await main(process.argv.slice(2))
