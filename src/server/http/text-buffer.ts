/** Gathers a long text as bytes, in one piece of memory where its length was guessed well. */

export interface TextBuffer {
  add(text: string): void
  /** In bytes. */
  readonly length: number
  /** All of it; nothing may be added afterwards. */
  bytes(): Buffer
}

/** A character takes three bytes at most: one outside the basic plane takes four, and counts as two. */
const mostBytes = 3
const slackBytes = 4096

/** @param expectedBytes how long it will be, about */
export function textBuffer(expectedBytes: number): TextBuffer {
  let buffer = Buffer.allocUnsafeSlow(Math.ceil(expectedBytes * 1.05) + slackBytes)
  let length = 0
  const grow = (needed: number) => {
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, Math.ceil(buffer.length * 1.5)))
    buffer.copy(larger, 0, 0, length)
    buffer = larger
  }
  return {
    get length() {
      return length
    },
    add(text) {
      // The exact length is asked for only where the longest possible would not fit.
      if (length + text.length * mostBytes > buffer.length) {
        const needed = length + Buffer.byteLength(text)
        if (needed > buffer.length) grow(needed)
      }
      length += buffer.write(text, length)
    },
    bytes: () => buffer.subarray(0, length),
  }
}
