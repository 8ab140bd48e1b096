/** Ends of paths and URLs. Knows nothing of what they name. */

/**
 * The text without the slashes at its end. In one step for each of them: the regular expression that says the same looks
 * at every slash as a possible beginning of the end, and takes minutes over a megabyte of them that ends otherwise.
 */
export function withoutSlashesAtEnd(text: string): string {
  let end = text.length
  while (end > 0 && text[end - 1] === '/') end -= 1
  return text.slice(0, end)
}
