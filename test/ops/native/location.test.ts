import { describe, expect, it } from 'vitest'
import { nativePaths, nativeRoot } from '../../../src/ops/native/location.ts'

describe('the directory of the native engine', () => {
  it('is the cache of the user unless a variable names another', () => {
    expect(nativeRoot({}, '/home/ada')).toMatch(/^\/home\/ada\/\.cache\/espalier\/native\/tfjs-node-/)
    expect(nativeRoot({ XDG_CACHE_HOME: '/fast' }, '/home/ada')).toMatch(/^\/fast\/espalier\/native\/tfjs-node-/)
    expect(nativeRoot({ XDG_CACHE_HOME: '/fast', ESPALIER_NATIVE_DIR: '/big' }, '/home/ada')).toMatch(/^\/big\/tfjs-/)
  })

  it('ignores an empty variable and a relative XDG directory', () => {
    const usual = nativeRoot({}, '/home/ada')
    expect(nativeRoot({ XDG_CACHE_HOME: '', ESPALIER_NATIVE_DIR: '' }, '/home/ada')).toBe(usual)
    expect(nativeRoot({ XDG_CACHE_HOME: 'cache' }, '/home/ada')).toBe(usual)
  })

  it('holds everything that is installed', () => {
    for (const path of Object.values(nativePaths('/big/engine'))) expect(path).toMatch(/^\/big\/engine/)
  })
})
