import { defineConfig } from 'vitest/config'

const shared = { setupFiles: ['test/setup.ts'], expect: { requireAssertions: true }, testTimeout: 60_000 }

export default defineConfig({
  test: {
    projects: [
      { extends: true, test: { ...shared, name: 'unit', include: ['test/**/*.test.ts'] } },
      { extends: true, test: { ...shared, name: 'laws', include: ['test/**/*.prop.ts'] } },
    ],
  },
})
