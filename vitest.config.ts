import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url))

/** `espalier/ops` means `src/ops/index.ts` in tests and examples: the package's own exports, read from the source. */
const { exports } = JSON.parse(readFileSync(path('package.json'), 'utf8')) as { exports: Record<string, string> }
const alias = Object.entries(exports)
  .filter(([, file]) => file.endsWith('.js'))
  .map(([name, file]) => ({
    find: new RegExp(`^espalier${name.slice(1)}$`),
    replacement: path(file.replace('./dist/', 'src/').replace(/\.js$/, '.ts')),
  }))

const minutes = 60_000
const requireAssertions = { requireAssertions: true }
const setupFiles = ['test/setup.ts']

export default defineConfig({
  resolve: { alias },
  test: {
    // Each worker is a process that loads an engine; two of them fill the two cores of a small machine.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: minutes,
    hookTimeout: minutes,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/{types,docs,package,pretrained}/**'],
          setupFiles,
          expect: requireAssertions,
        },
      },
      { extends: true, test: { name: 'laws', include: ['test/**/*.prop.ts'], setupFiles, expect: requireAssertions } },
      {
        extends: true,
        test: {
          name: 'types',
          include: ['test/types/*.test.ts'],
          // vitest reports the errors of *.test-d.ts only; those of src and test are `npm run typecheck`'s.
          typecheck: {
            enabled: true,
            include: ['test/**/*.test-d.ts'],
            tsconfig: 'tsconfig.types.json',
            ignoreSourceErrors: true,
          },
        },
      },
      {
        extends: true,
        // Hundreds of short files: they share one module graph per worker, and each runs in an empty directory.
        test: {
          name: 'docs',
          include: ['.doctest/**/*.test.ts', 'test/docs/*.test.ts'],
          setupFiles: ['test/docs/setup.ts'],
          isolate: false,
        },
      },
      {
        extends: true,
        // Outside the ordinary suite, for it fetches a model of 83 MB.
        test: { name: 'pretrained', include: ['test/pretrained/*.test.ts'], testTimeout: 5 * minutes },
      },
      {
        extends: true,
        test: {
          name: 'package',
          include: ['test/package/*.test.ts'],
          testTimeout: 5 * minutes,
          hookTimeout: 8 * minutes,
          expect: requireAssertions,
        },
      },
    ],
  },
})
