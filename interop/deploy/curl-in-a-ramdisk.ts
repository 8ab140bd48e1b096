/**
 * Stands in for curl in a ramdisk that has none: the options that kickstarts use for telling the service how far they are
 * (-X, -H, -d, --insecure, --retry, and those that say nothing here), and one URL. Ends as curl does: 0, or 22 for a refusal.
 */
import { setTimeout as sleep } from 'node:timers/promises'

const headers: Record<string, string> = {}
let [method, body, url, tries] = ['GET', '', '', 1]
const words = process.argv.slice(2)
while (words.length > 0) {
  const word = words.shift() ?? ''
  if (word === '-X') method = words.shift() ?? ''
  else if (word === '-d') body = words.shift() ?? ''
  else if (word === '--retry') tries += Number(words.shift())
  else if (word === '-H') {
    const [name = '', value = ''] = (words.shift() ?? '').split(/: */, 2)
    headers[name] = value
  } else if (word === '--insecure') process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
  else if (!word.startsWith('-')) url = word
}
for (let attempt = 1; ; attempt++) {
  try {
    const answer = await fetch(url, { method, headers, body })
    process.stdout.write(await answer.text())
    process.exit(answer.ok ? 0 : 22)
  } catch (error) {
    if (attempt < tries) await sleep(1000)
    else {
      console.error(String(error))
      process.exit(7)
    }
  }
}
