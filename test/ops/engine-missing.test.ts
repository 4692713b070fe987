import { expect, test, vi } from 'vitest'
import { currentEngine, engine, item, scalar } from '../../src/ops/index.ts'

vi.mock('../../src/ops/native/load.ts', () => ({
  loadNative: () => ({ ok: false, why: 'not installed: npx espalier native' }),
}))

test('an engine that was asked for and cannot be had is an error; the previous one stays', async () => {
  await expect(engine({ prefer: 'native', quiet: true })).rejects.toThrow(
    /EngineUnavailable at engine: expected the native engine, found not installed: npx espalier native/,
  )
  expect([currentEngine(), item(scalar(2))]).toEqual(['js', 2])
})

test('after a failure the choice is still open, and the line says why the faster one was not taken', async () => {
  const spy = vi.spyOn(console, 'error').mockImplementation(() => undefined)
  const info = await engine()
  expect([info.name, info.skipped]).toEqual(['wasm', [{ name: 'native', why: 'not installed: npx espalier native' }]])
  expect(spy.mock.calls).toEqual([
    [expect.stringMatching(/^espalier: WASM engine[^\n]*; native is not in use: not installed: npx espalier native$/)],
  ])
})
