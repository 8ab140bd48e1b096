/** What the node's ramdisks wrote while they ran, as it comes: the last boots, and the text of one, which follows its end. */
import {
  Button,
  EmptyState,
  EmptyStateBody,
  FormSelect,
  FormSelectOption,
  SearchInput,
  Switch,
} from '@patternfly/react-core'
import DownloadIcon from '@patternfly/react-icons/dist/esm/icons/download-icon'
import { useQuery } from '@tanstack/react-query'
import { useEffect, useMemo, useRef, useState } from 'react'
import type { BootLog, LoggedBoot } from '#protocol/ramdisk-log.ts'
import { get, part } from '../../api.ts'
import { isBusy } from '../../expected.ts'
import type { Node } from '../../node-type.ts'
import { bytes } from '../../parts/amounts.ts'
import { Asked } from '../../parts/asked.tsx'
import { FaultAlert } from '../../parts/fault-alert.tsx'
import { moment } from '../../parts/time.ts'
import type { TabProps } from '../node.tsx'

export default function Logs({ node }: TabProps) {
  const [chosen, setChosen] = useState<string>()
  const query = useQuery({
    queryKey: ['node', node.uuid, 'ramdisk logs'],
    queryFn: async ({ signal }) => {
      const { ramdisk_logs } = await get<{ ramdisk_logs: readonly LoggedBoot[] }>(
        `/v1/nodes/${part(node.uuid)}/ramdisk_logs`,
        { signal },
      )
      return [...ramdisk_logs].sort((a, b) => b.began_at.localeCompare(a.began_at))
    },
    refetchInterval: isBusy(node) ? 2000 : 15_000,
  })
  return (
    <Asked query={query} what="list the ramdisk's logs">
      {boots => {
        const boot = boots.find(one => one.boot_id === chosen) ?? boots[0]
        if (!boot) {
          return (
            <EmptyState titleText="No log has come" headingLevel="h2">
              <EmptyStateBody>
                Ramdisks of Ferrite’s tell their log while they run; the last three boots are kept. See
                docs/ramdisk-logs.md.
              </EmptyStateBody>
            </EmptyState>
          )
        }
        return (
          <>
            <FormSelect
              aria-label="Boot"
              value={boot.boot_id}
              onChange={(_, id) => setChosen(id)}
              className="ferrite-narrow"
            >
              {boots.map(one => (
                <FormSelectOption
                  key={one.boot_id}
                  value={one.boot_id}
                  label={`Boot of ${moment(one.began_at)}, ${bytes(one.size_bytes)}`}
                />
              ))}
            </FormSelect>
            <Log key={boot.boot_id} node={node} bootId={boot.boot_id} />
          </>
        )
      }}
    </Asked>
  )
}

/** A log that is being written is asked for what is new this often. */
const everyMs = 1000
/** Lines in the document, the last ones: more is for the file. */
const mostLines = 5000

function Log({ node, bootId }: { node: Node; bootId: string }) {
  const { text, error } = useLog(node, bootId)
  const [word, setWord] = useState('')
  const [follows, setFollows] = useState(true)
  const frame = useRef<HTMLElement>(null)
  const lines = useMemo(() => {
    const all = text.split('\n')
    return word === '' ? all : all.filter(line => line.toLowerCase().includes(word.toLowerCase()))
  }, [text, word])
  // biome-ignore lint/correctness/useExhaustiveDependencies: new lines are why it scrolls
  useEffect(() => {
    if (follows) frame.current?.scrollTo(0, frame.current.scrollHeight)
  }, [lines, follows])
  return (
    <>
      <div className="ferrite-log-bar">
        <SearchInput
          aria-label="Lines with"
          placeholder="Lines with …"
          value={word}
          onChange={(_, value) => setWord(value)}
          onClear={() => setWord('')}
        />
        <Switch id="follow" label="Follow" isChecked={follows} onChange={(_, checked) => setFollows(checked)} />
        <Button
          variant="link"
          icon={<DownloadIcon />}
          onClick={() => save(text, `${node.name ?? node.uuid}-${bootId}.log`)}
        >
          Download
        </Button>
      </div>
      {error !== undefined && <FaultAlert error={error} what="read the log" />}
      {lines.length > mostLines && <p className="ferrite-small">The last {mostLines} lines; the download has all.</p>}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable */}
      <section className="ferrite-log" ref={frame} tabIndex={0} aria-label="Log">
        {lines.slice(-mostLines).join('\n')}
      </section>
    </>
  )
}

/** The text so far; each look asks only for what came since. */
function useLog(node: Node, bootId: string): { text: string; error: unknown } {
  const [text, setText] = useState('')
  const [error, setError] = useState<unknown>()
  useEffect(() => {
    const leaving = new AbortController()
    const { signal } = leaving
    let last: number | undefined
    const look = async () => {
      for (;;) {
        const log: BootLog = await get(`/v1/nodes/${part(node.uuid)}/ramdisk_logs/${part(bootId)}`, {
          query: { after: last },
          signal,
        })
        setError(undefined)
        if (log.last_piece === null) return
        last = log.last_piece
        setText(before => before + log.text)
      }
    }
    const turn = async () => {
      while (!signal.aborted) {
        await look().catch((thrown: unknown) => {
          if (!signal.aborted) setError(thrown)
        })
        await new Promise(resolve => setTimeout(resolve, everyMs))
      }
    }
    void turn()
    return () => leaving.abort()
  }, [node.uuid, bootId])
  return { text, error }
}

function save(text: string, name: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: 'text/plain' }))
  const link = Object.assign(document.createElement('a'), { href: url, download: name })
  link.click()
  URL.revokeObjectURL(url)
}
