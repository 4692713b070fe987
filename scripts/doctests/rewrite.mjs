import ts from 'typescript'

const marker = /\/\/ => (.*)$/
const markerLine = /^\s*\/\/ => (.*)$/
const continuation = /^\s*\/\/ {2,}(\S.*)$/

/** A statement that may stand inside no function: it stays at the top of the generated module. */
const isTopLevelOnly = (statement) => ts.isImportDeclaration(statement) || ts.isModuleDeclaration(statement)

/** Top-level statements and those in their blocks; what is inside a function runs when it is called, not where it stands. */
const statementsOf = (node) =>
  [...node.statements].flatMap((statement) => [statement, ...blocksOf(statement).flatMap(statementsOf)])
const blocksOf = (statement) => {
  const blocks = []
  ts.forEachChild(statement, (child) => {
    if (ts.isBlock(child) && !ts.isFunctionLike(statement)) blocks.push(child)
    else if (ts.isIfStatement(child) || ts.isTryStatement(child) || ts.isCatchClause(child))
      blocks.push(...blocksOf(child))
  })
  return blocks
}

/** The value written after a statement: in its trailing comment or in the comment line below it. */
const expectation = (lines, lastLine) => {
  const beside = marker.exec(lines[lastLine])
  const below = beside === null ? markerLine.exec(lines[lastLine + 1] ?? '') : null
  const found = beside ?? below
  if (found === null) return undefined
  const at = beside === null ? lastLine + 1 : lastLine
  const more = []
  for (let i = at + 1; continuation.test(lines[i] ?? ''); i++) more.push(continuation.exec(lines[i])[1])
  return { at, value: [found[1], ...more].join(' ').trim() }
}

const isConsoleLog = (node) =>
  ts.isCallExpression(node) && node.expression.getText() === 'console.log' && node.arguments.length === 1

/** The one name that `const x = ...` declares, with its initialiser. */
const declared = (statement) => {
  if (!ts.isVariableStatement(statement) || statement.declarationList.declarations.length !== 1) return undefined
  const { name, initializer } = statement.declarationList.declarations[0]
  return ts.isIdentifier(name) && initializer !== undefined ? { name: name.text, initializer } : undefined
}

const quiet = "'nothing was thrown'"

/** The edits that make an assertion of a statement, or undefined where nothing there can be asserted. */
const assertion = (statement, value, place) => {
  const failure = /^Error(?:: (.*))?$/.exec(value)
  const message = JSON.stringify(place)
  const declaration = declared(statement)
  if (declaration === undefined && !ts.isExpressionStatement(statement)) return undefined
  const subject = declaration?.initializer ?? statement.expression
  if (failure !== null) {
    const matcher = failure[1] === undefined ? `not.toBe(${quiet})` : `toContain(${JSON.stringify(failure[1])})`
    return [
      { from: statement.getStart(), to: subject.getStart(), text: 'await $expect((async () => (' },
      {
        from: subject.end,
        to: subject.end,
        text: `))().then(() => ${quiet}, ($error: unknown) => String($error)), ${message}).resolves.${matcher}`,
      },
    ]
  }
  if (declaration !== undefined)
    return [
      { from: statement.end, to: statement.end, text: `; $expect(${declaration.name}, ${message}).toEqual(${value})` },
    ]
  const actual = isConsoleLog(subject) ? subject.arguments[0] : subject
  return [
    { from: subject.getStart(), to: actual.getStart(), text: '$expect(' },
    { from: actual.end, to: subject.end, text: `, ${message}).toEqual(${value})` },
  ]
}

const newlines = (text) => text.replace(/[^\n]/g, '')

/**
 * Makes tests' code of one fence without moving a line.
 *
 * @param {readonly string[]} code
 * @param {string} source
 * @param {number} firstLine number of the first code line in the source
 * @returns {{ body: string[], hoisted: { line: number, text: string }[], problems: { line: number, text: string }[] }}
 */
export const rewrite = (code, source, firstLine) => {
  const text = code.join('\n')
  const file = ts.createSourceFile('fence.ts', text, ts.ScriptTarget.Latest, true, ts.ScriptKind.TS)
  const lineOf = (position) => file.getLineAndCharacterOfPosition(position).line
  const edits = []
  const hoisted = []
  const asserted = new Set()

  // Backwards, so that of two statements on one line the last takes the expectation.
  for (const statement of statementsOf(file).toReversed()) {
    const from = statement.getStart()
    if (isTopLevelOnly(statement)) {
      hoisted.unshift({ line: firstLine + lineOf(from), text: text.slice(from, statement.end) })
      edits.push({ from, to: statement.end, text: newlines(text.slice(from, statement.end)) })
      continue
    }
    const exported = ts.canHaveModifiers(statement)
      ? ts.getModifiers(statement)?.find((modifier) => modifier.kind === ts.SyntaxKind.ExportKeyword)
      : undefined
    if (exported !== undefined) edits.push({ from: exported.getStart(), to: exported.end, text: '' })
    const expected = expectation(code, lineOf(statement.end))
    if (expected === undefined || asserted.has(expected.at)) continue
    const made = assertion(statement, expected.value, `${source}:${firstLine + lineOf(from)}`)
    if (made === undefined) continue
    asserted.add(expected.at)
    edits.push(...made)
  }

  const problems = code.flatMap((line, at) =>
    marker.test(line) && !asserted.has(at)
      ? [{ line: firstLine + at, text: 'nothing before this `// =>` can be asserted' }]
      : [],
  )
  const body = edits
    .toSorted((a, b) => b.from - a.from || b.to - a.to)
    .reduce((result, edit) => result.slice(0, edit.from) + edit.text + result.slice(edit.to), text)
    .split('\n')
  return { body, hoisted, problems }
}
