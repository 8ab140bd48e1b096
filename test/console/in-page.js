/** What the tests of the console run in its pages; every page begins with it (site.ts). */
globalThis.ferriteTest = {
  /** What axe finds wrong with the page, a line each. */
  async violations() {
    // Colours that are on their way from one theme to the other are of neither.
    const changes = document.getAnimations().filter(animation => animation instanceof CSSTransition)
    await Promise.all(changes.map(change => change.finished.catch(() => undefined)))
    const { violations } = await globalThis.axe.run({
      runOnly: { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] },
    })
    return violations.flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 200)} ${failureSummary.replaceAll('\n', ' ')}`),
    )
  },

  isLoaded: () => document.querySelector('.ferrite-loading') === null,
  isDark: () => document.documentElement.classList.contains('pf-v6-theme-dark'),
  /** By how many pixels the page is wider than its window. */
  excess: () => document.documentElement.scrollWidth - innerWidth,
  stored: () => JSON.stringify({ tab: { ...sessionStorage }, browser: { ...localStorage } }),

  /** Scrolls the table of nodes by leaps and bounds, and looks in each frame whether rows cover what is in sight. */
  async scrollThrough() {
    const frame = document.querySelector('.ferrite-frame')
    const found = { frames: 0, rowsInDocument: 0, blanks: [] }
    const look = () => {
      const box = frame.getBoundingClientRect()
      const rows = [...frame.querySelectorAll('tbody tr[aria-rowindex]')].map(row => row.getBoundingClientRect())
      const top = Math.min(...rows.map(row => row.top)) - box.top
      const bottom = Math.max(...rows.map(row => row.bottom)) - box.bottom
      found.frames += 1
      found.rowsInDocument = Math.max(found.rowsInDocument, rows.length)
      // Above the rows stands the head of the table, below them the bar that scrolls sideways.
      if (rows.length > 0 && top <= 41 && bottom >= -18) return
      found.blanks.push(`frame ${found.frames} at ${frame.scrollTop}: ${rows.length} rows, ${top} to ${bottom}`)
    }
    const scroll = async by => {
      frame.scrollTop += by
      await new Promise(requestAnimationFrame)
      look()
    }
    for (let step = 0; step < 120; step += 1) await scroll(130)
    for (let step = 0; step < 40; step += 1) await scroll(900)
    for (let step = 0; step < 20; step += 1) await scroll(step % 2 === 0 ? 60_000 : -45_000)
    frame.scrollTop = frame.scrollHeight
    for (let step = 0; step < 40; step += 1) await scroll(-700)
    return found
  },
}
