import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'

// An example that saves a file writes it into a directory of its own, not into the repository.
const home = process.cwd()
const scratch = mkdtempSync(join(tmpdir(), 'espalier-docs-'))
process.chdir(scratch)
afterAll(() => {
  process.chdir(home)
  rmSync(scratch, { recursive: true, force: true })
})
