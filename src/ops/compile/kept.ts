/** A few values by key: those of the keys that are asked for most. */
export interface Kept<V> {
  /** The value of a key; made where there is room, or where the key is asked for much more than the one that goes for it. */
  readonly get: (key: string, make: () => V | undefined) => V | undefined
  readonly drop: (key: string) => void
  readonly size: () => number
  readonly clear: () => void
}

/**
 * Keeps the values of at most `room` keys, and says of each one that goes that it is gone.
 *
 * A key takes another's place when it was asked for twice as often lately: where more keys are in use than there is room
 * for, some are always there and none is made again and again.
 *
 * @source Einziger, Friedman & Manes 2017, "TinyLFU: A Highly Efficient Cache Admission Policy", §3 (counts that are halved).
 */
export const keepUsed = <V>(room: number, gone: (value: V) => void): Kept<V> => {
  // The one asked for last stands last, so that among equals the first is the one to go.
  const values = new Map<string, V>()
  const uses = new Map<string, number>()
  let asked = 0
  const count = (key: string): number => {
    asked += 1
    uses.set(key, (uses.get(key) ?? 0) + 1)
    const now = uses.get(key)!
    if (asked % (16 * Math.max(1, room)) === 0) halve(uses)
    return now
  }
  const drop = (key: string): void => {
    const value = values.get(key)
    values.delete(key)
    if (value !== undefined) gone(value)
  }
  const makeRoom = (times: number): boolean => {
    if (values.size < room) return true
    const victim = leastOf([...values.keys()], uses)
    if (victim === undefined || times < 2 * Math.max(1, uses.get(victim) ?? 0)) return false
    drop(victim)
    return true
  }
  return {
    get: (key, make) => {
      const times = count(key)
      const value = values.get(key) ?? (makeRoom(times) ? make() : undefined)
      values.delete(key)
      if (value !== undefined) values.set(key, value)
      return value
    },
    drop,
    size: () => values.size,
    clear: () => {
      for (const key of values.keys()) drop(key)
      uses.clear()
    },
  }
}

const halve = (uses: Map<string, number>): void => {
  for (const [key, times] of uses)
    if (times > 1) uses.set(key, Math.floor(times / 2))
    else uses.delete(key)
}

const leastOf = (keys: readonly string[], uses: ReadonlyMap<string, number>): string | undefined =>
  keys.reduce<string | undefined>(
    (least, key) => (least === undefined || (uses.get(key) ?? 0) < (uses.get(least) ?? 0) ? key : least),
    undefined,
  )
