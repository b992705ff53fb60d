import { readFileSync } from 'node:fs'

/** A table of docs/security.md by its first heading: one row a route, one column a role. */
export function documentedAnswers(heading: string): Map<string, Map<string, number>> {
  const url = new URL('../../../docs/security.md', import.meta.url)
  const lines = readFileSync(url, 'utf8').split('\n')
  const first = lines.findIndex(line => line.startsWith(`| ${heading} |`))
  const roles = cells(lines[first]).slice(1)
  const rows = lines.slice(first + 2)
  const end = rows.findIndex(line => !line.startsWith('|'))
  return new Map(
    rows.slice(0, end).map(line => {
      const [route = '', ...answers] = cells(line)
      return [route, new Map(roles.map((role, index) => [role, Number(answers[index])]))]
    }),
  )
}

function cells(line = ''): string[] {
  return line
    .split('|')
    .slice(1, -1)
    .map(cell => cell.trim().replaceAll('`', ''))
}
