/**
 * Rows of nodes, of which only those near the ones in sight are in the document: ten thousand scroll as ten do. It is a
 * table like any other to who listens to it: rows know their number, and how many there are.
 */
import { useVirtualizer } from '@tanstack/react-virtual'
import { memo, useCallback, useLayoutEffect, useRef, useState } from 'react'
import type { RunsByNode, SeenRun } from '../../expected.ts'
import type { FleetNode } from '../../fleet.ts'
import type { Column } from './columns.tsx'

const rowHeight = 40
/** On both sides of what is in sight: a flick of the wheel finds rows that are there already. */
const overscan = 24
/** The list counts as scrolling for this long after it moved. */
const scrollingMs = 60_000

export interface Sorting {
  readonly by: string
  readonly descending: boolean
}

interface Props {
  readonly nodes: readonly FleetNode[]
  readonly columns: readonly Column[]
  readonly runs: RunsByNode
  readonly nowMs: number
  readonly sorting: Sorting
  readonly onSort: (by: string) => void
  readonly selected: ReadonlySet<string>
  readonly onSelect: (uuids: readonly string[], isSelected: boolean) => void
}

export function NodeTable({ nodes, columns, runs, nowMs, sorting, onSort, selected, onSelect }: Props) {
  const frame = useRef<HTMLDivElement>(null)
  const keyOf = useCallback((index: number) => nodes[index]?.uuid ?? index, [nodes])
  const rows = useVirtualizer({
    count: nodes.length,
    getScrollElement: () => frame.current,
    estimateSize: () => rowHeight,
    overscan,
    // What is drawn while it scrolls is drawn at once, within the frame; what is drawn at rest may come a frame late.
    isScrollingResetDelay: scrollingMs,
    getItemKey: keyOf,
  })
  const items = rows.getVirtualItems()
  const before = items[0]?.start ?? 0
  const after = rows.getTotalSize() - (items.at(-1)?.end ?? 0)
  const last = useRef<string>(undefined)
  const select = (node: FleetNode, isSelected: boolean, withShift: boolean) => {
    const from = withShift ? nodes.findIndex(one => one.uuid === last.current) : -1
    const to = nodes.indexOf(node)
    const range = from < 0 ? [node] : nodes.slice(Math.min(from, to), Math.max(from, to) + 1)
    last.current = node.uuid
    onSelect(
      range.map(one => one.uuid),
      isSelected,
    )
  }
  const isAllSelected = nodes.length > 0 && nodes.every(node => selected.has(node.uuid))
  const height = useRestOfWindow(frame)
  return (
    // Who uses the keys alone scrolls it, too.
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable
    <section className="ferrite-frame" ref={frame} style={{ blockSize: height }} tabIndex={0} aria-label="Nodes">
      <table
        className="ferrite-nodes"
        aria-rowcount={nodes.length + 1}
        aria-colcount={columns.length + 1}
        style={{ minInlineSize: `${columns.reduce((sum, column) => sum + column.width, 3)}rem` }}
      >
        <colgroup>
          <col style={{ inlineSize: '3rem' }} />
          {columns.map(column => (
            <col key={column.id} style={{ inlineSize: `${column.width}rem` }} />
          ))}
        </colgroup>
        <thead>
          <tr aria-rowindex={1}>
            <th scope="col">
              <input
                type="checkbox"
                aria-label="Select all nodes of the table"
                checked={isAllSelected}
                onChange={event =>
                  onSelect(
                    nodes.map(node => node.uuid),
                    event.target.checked,
                  )
                }
              />
            </th>
            {columns.map(({ id, label }) => {
              const direction = sorting.by !== id ? undefined : sorting.descending ? 'descending' : 'ascending'
              return (
                <th scope="col" key={id} aria-sort={direction}>
                  <button type="button" onClick={() => onSort(id)}>
                    {label}
                    <span aria-hidden="true">
                      {direction === undefined ? '' : direction === 'ascending' ? ' ↑' : ' ↓'}
                    </span>
                  </button>
                </th>
              )
            })}
          </tr>
        </thead>
        <tbody>
          {before > 0 && <Gap height={before} />}
          {items.map(({ index }) => {
            const node = nodes[index]
            return (
              node && (
                <Row
                  key={node.uuid}
                  node={node}
                  index={index}
                  columns={columns}
                  run={runs.get(node.uuid)}
                  nowMs={nowMs}
                  isSelected={selected.has(node.uuid)}
                  onSelect={select}
                />
              )
            )
          })}
          {after > 0 && <Gap height={after} />}
        </tbody>
      </table>
    </section>
  )
}

/** Stands for rows that are not in the document. */
function Gap({ height }: { height: number }) {
  return <tr className="ferrite-gap" style={{ blockSize: height }} />
}

interface RowProps {
  readonly node: FleetNode
  readonly index: number
  readonly columns: readonly Column[]
  readonly run: SeenRun | undefined
  readonly nowMs: number
  readonly isSelected: boolean
  readonly onSelect: (node: FleetNode, isSelected: boolean, withShift: boolean) => void
}

/** Drawn anew when what it shows is another, or time has passed; a scrolling table draws its new rows alone. */
const Row = memo(
  function Row({ node, index, columns, run, nowMs, isSelected, onSelect }: RowProps) {
    return (
      <tr aria-rowindex={index + 2} className={isSelected ? 'ferrite-selected' : undefined}>
        <td>
          <input
            type="checkbox"
            aria-label={`Select ${node.name ?? node.uuid}`}
            checked={isSelected}
            onChange={event =>
              onSelect(node, event.target.checked, (event.nativeEvent as MouseEvent).shiftKey === true)
            }
          />
        </td>
        {columns.map(column => (
          <td key={column.id}>{column.cell(node, nowMs, run)}</td>
        ))}
      </tr>
    )
  },
  (a, b) =>
    a.node === b.node &&
    a.index === b.index &&
    a.columns === b.columns &&
    a.run === b.run &&
    a.nowMs === b.nowMs &&
    a.isSelected === b.isSelected,
)

/** The height from where the element begins to the end of the window. */
function useRestOfWindow(element: React.RefObject<HTMLElement | null>): number {
  const [height, setHeight] = useState(480)
  useLayoutEffect(() => {
    const measure = () => {
      const top = element.current?.getBoundingClientRect().top ?? 0
      setHeight(Math.max(240, innerHeight - top - 40))
    }
    measure()
    const observer = new ResizeObserver(measure)
    observer.observe(document.body)
    // What stands above it (filters, alerts) comes and goes.
    if (element.current?.parentElement) observer.observe(element.current.parentElement)
    addEventListener('resize', measure)
    return () => {
      observer.disconnect()
      removeEventListener('resize', measure)
    }
  }, [element])
  return height
}
