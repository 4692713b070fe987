// Makes one command enough on a fresh clone: installs the locked packages when they are missing or out of date.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** @param {string} file */
const packages = (file) => {
  try {
    return JSON.parse(readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')).packages
  } catch {
    return {}
  }
}

const wanted = packages('package-lock.json')
const installed = packages('node_modules/.package-lock.json')
const stale = Object.entries(wanted).filter(
  ([path, { version, optional }]) => path !== '' && !optional && installed[path]?.version !== version,
)

if (stale.length > 0) {
  console.log(`Installing the locked packages (${stale.length} missing or out of date)`)
  execFileSync('npm', ['ci', '--ignore-scripts'], { cwd: root, stdio: 'inherit', shell: process.platform === 'win32' })
}
