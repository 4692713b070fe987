// A user's program, compiled in a project of its own against the installed tarball.
import * as espalier from 'espalier'
import * as ops from 'espalier/ops'

export const names: readonly string[] = [...Object.keys(espalier), ...Object.keys(ops)]
