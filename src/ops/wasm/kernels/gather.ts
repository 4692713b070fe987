/** The rows `ids` of a table of rows of `width` bytes, one after the other. */
export function gatherRows(count: i32, width: usize, ids: usize, table: usize, to: usize, _scratch: usize): void {
  for (let i = 0; i < count; i++) {
    memory.copy(to, table + (load<i32>(ids) as usize) * width, width)
    ids += 4
    to += width
  }
}

/**
 * Rows `first` to `first + rows` of a table of zeros to whose row `ids[i]` row i of `dy` is added; `width` float32 a row.
 *
 * Every thread reads all ids and takes those that are its own: no two write the same row, and the order is that of the ids.
 */
export function scatterRows(
  rows: i32,
  first: i32,
  count: i32,
  width: i32,
  ids: usize,
  dy: usize,
  table: usize,
  _scratch: usize,
): void {
  const rowBytes = (width as usize) << 2
  memory.fill(table, 0, (rows as usize) * rowBytes)
  for (let i = 0; i < count; i++) {
    const row = load<i32>(ids) - first
    if (row >= 0 && row < rows) addRow(width, dy, table + (row as usize) * rowBytes)
    ids += 4
    dy += rowBytes
  }
}

function addRow(width: i32, from: usize, to: usize): void {
  let i = 0
  for (; i + 4 <= width; i += 4) {
    v128.store(to, f32x4.add(v128.load(to), v128.load(from)))
    from += 16
    to += 16
  }
  for (; i < width; i++) {
    store<f32>(to, load<f32>(to) + load<f32>(from))
    from += 4
    to += 4
  }
}
