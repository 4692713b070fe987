// Draws docs/images/tree.svg: what `show` prints of the README's model, as a picture. Needs `npm run build`.
import { writeFileSync } from 'node:fs'
import { freeze, key, lora, pipe, show, sllm } from '../dist/index.js'

const tuned = pipe(
  sllm.init(sllm.config.seed, key(0)),
  freeze,
  lora({ at: ['**.ln_1', '**.c_proj'], rank: 16, alpha: 30 }),
)
const colors = { 1: '#e6edf3', 2: '#7d8590', 32: '#3fb950', 34: '#58a6ff', 35: '#d2a8ff', 36: '#39c5cf' }
const escapeCode = `${String.fromCharCode(27)}\\[\\d+m`
const escape = (s) => s.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll(' ', '\u00a0')

const lines = show(tuned, { color: true }).split('\n')
const rows = lines.map((line, i) => {
  let color = '#c9d1d9'
  let weight = ''
  const spans = line.split(new RegExp(`(${escapeCode})`)).map((part) => {
    const code = new RegExp(`^${escapeCode}$`).test(part) ? /\d+/.exec(part)?.[0] : undefined
    if (code === undefined) return part === '' ? '' : `<tspan fill="${color}"${weight}>${escape(part)}</tspan>`
    color = colors[code] ?? '#c9d1d9'
    weight = code === '1' ? ' font-weight="bold"' : ''
    return ''
  })
  return `<text x="16" y="${28 + i * 17}">${spans.join('')}</text>`
})
const width = 32 + Math.max(...lines.map((l) => l.replace(new RegExp(escapeCode, 'g'), '').length)) * 7.85
writeFileSync(
  new URL('../docs/images/tree.svg', import.meta.url),
  `<svg xmlns="http://www.w3.org/2000/svg" width="${Math.ceil(width)}" height="${lines.length * 17 + 32}" font-family="ui-monospace, Menlo, Consolas, monospace" font-size="13">
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
${rows.join('\n')}
</svg>
`,
)
