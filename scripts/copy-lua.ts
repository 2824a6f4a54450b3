import { cpSync, globSync } from 'node:fs'
import { join } from 'node:path'

/** Run in a package's folder after its compiler: brings the scripts of `src` to `dist`, where the code looks for them. */
const from = 'src'
const to = 'dist'
for (const file of globSync('**/*.lua', { cwd: from })) cpSync(join(from, file), join(to, file))
