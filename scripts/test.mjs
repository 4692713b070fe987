// `npm test`: every check of the project, one after the other; `npm test -- unit laws` runs only those.
// The last line is `N passed, N failed`. A check that is not a vitest project counts as one test, and a crash as a failure.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const reports = mkdtempSync(join(tmpdir(), 'espalier-test-'))

/** @param {string} script @param {...string} args */
const npmRun = (script, ...args) =>
  spawnSync('npm', ['run', '--silent', script, '--', ...args], {
    cwd: root,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  }).status === 0

/** @param {string} script */
const gate = (script) => () => (npmRun(script) ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 })

/** @param {string} script */
const vitest = (script) => () => {
  const report = join(reports, `${script.replace(':', '-')}.json`)
  const ok = npmRun(script, '--reporter=default', '--reporter=json', `--outputFile.json=${report}`)
  try {
    const { numPassedTests: passed, numFailedTests, testResults } = JSON.parse(readFileSync(report, 'utf8'))
    // A file that could not even be loaded has no failed test to count.
    const broken = testResults.filter(
      ({ status, assertionResults }) =>
        status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
    )
    const failed = numFailedTests + broken.length
    return { passed, failed: ok ? failed : Math.max(failed, 1) }
  } catch {
    return { passed: 0, failed: 1 }
  }
}

const steps = {
  typecheck: gate('typecheck'),
  lint: gate('lint'),
  api: gate('docs:check'),
  kernels: gate('check:wasm'),
  unit: vitest('test:unit'),
  laws: vitest('test:laws'),
  types: vitest('test:types'),
  docs: vitest('test:docs'),
  package: vitest('test:package'),
}

const asked = process.argv.slice(2)
const unknown = asked.filter((name) => !(name in steps))
if (unknown.length > 0) {
  console.error(`no check is called ${unknown.join(', ')}; there are ${Object.keys(steps).join(', ')}`)
  process.exit(2)
}

const results = (asked.length > 0 ? asked : Object.keys(steps)).map((name) => {
  console.log(`\n── ${name}`)
  const started = Date.now()
  return { name, ...steps[name](), seconds: Math.round((Date.now() - started) / 1000) }
})
rmSync(reports, { recursive: true, force: true })

const total = (of) => results.reduce((sum, result) => sum + result[of], 0)
console.log('')
for (const { name, passed, failed, seconds } of results)
  console.log(
    `${name.padEnd(10)} ${String(passed).padStart(5)} passed ${String(failed).padStart(4)} failed ${seconds} s`,
  )
console.log(`${total('passed')} passed, ${total('failed')} failed`)
process.exitCode = total('failed') === 0 ? 0 : 1
