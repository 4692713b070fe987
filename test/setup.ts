import { configureGlobal } from 'fast-check'

// A failing property prints its seed and path; FC_SEED and FC_PATH replay it, FC_RUNS lengthens a nightly run.
const { FC_SEED, FC_PATH, FC_RUNS } = process.env
configureGlobal({
  seed: FC_SEED === undefined ? 20261124 : Number(FC_SEED),
  numRuns: FC_RUNS === undefined ? 100 : Number(FC_RUNS),
  ...(FC_PATH === undefined ? {} : { path: FC_PATH, endOnFailure: true }),
})
