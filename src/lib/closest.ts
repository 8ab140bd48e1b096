/**
 * The word somebody probably meant, for "did you mean": the nearest of the known words by edit distance, if it is near
 * enough to be worth saying.
 */
export function closest(word: string, known: Iterable<string>): string | undefined {
  const limit = Math.max(1, Math.floor(word.length / 3))
  let best: string | undefined
  let bestDistance = limit + 1
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase(), bestDistance)
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Levenshtein's distance where swapping two neighbours counts once; gives up (answers `limit`) once it is reached. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit
  let before: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row]
    for (let column = 1; column <= b.length; column += 1) {
      // The indexes stay inside arrays of length b.length + 1.
      const substitution = previous[column - 1]! + (a[row - 1] === b[column - 1] ? 0 : 1)
      let cost = Math.min(substitution, previous[column]! + 1, current[column - 1]! + 1)
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        cost = Math.min(cost, before[column - 2]! + 1)
      }
      current.push(cost)
    }
    if (Math.min(...current) >= limit) return limit
    before = previous
    previous = current
  }
  return previous[b.length]!
}
