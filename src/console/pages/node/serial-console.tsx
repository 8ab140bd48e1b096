/** The serial console in the page: what the machine writes to its line, and what is typed here. */
import { Alert, Button, Label, Switch } from '@patternfly/react-core'
import { FitAddon } from '@xterm/addon-fit'
import { Terminal } from '@xterm/xterm'
import '@xterm/xterm/css/xterm.css'
import { useQuery } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import { ApiFault, ask, get, part } from '../../api.ts'
import type { Node } from '../../node-type.ts'
import { FaultAlert } from '../../parts/fault-alert.tsx'
import { Loading } from '../../parts/loading.tsx'
import { socketProtocols } from '../../session.ts'
import type { TabProps } from '../node.tsx'

interface ConsoleState {
  readonly console_enabled: boolean
  readonly console_info: { readonly type: string; readonly url: string } | null
}

export default function SerialConsole({ node }: TabProps) {
  const [fault, setFault] = useState<unknown>()
  const { data, error, refetch } = useQuery({
    queryKey: ['node', node.uuid, 'console'],
    queryFn: ({ signal }) => get<ConsoleState>(`/v1/nodes/${part(node.uuid)}/states/console`, { signal }),
    refetchInterval: 10_000,
    retry: false,
  })
  if (error instanceof ApiFault && error.status === 400) {
    return (
      <Alert variant="info" isInline title="This node offers no console">
        <p>{error.message}</p>
        <p>
          Next: give it a console interface that its hardware type has, such as <code>ipmitool-socat</code> or{' '}
          <code>redfish-serial</code>; docs/ipmi.md and docs/redfish.md tell more.
        </p>
      </Alert>
    )
  }
  if (error) return <FaultAlert error={error} what="ask for the console" onRetry={() => void refetch()} />
  if (!data) return <Loading what="the console" />
  const change = async (enabled: boolean) => {
    setFault(undefined)
    try {
      await ask('PUT', `/v1/nodes/${part(node.uuid)}/states/console`, { body: { enabled } })
    } catch (thrown) {
      setFault(thrown)
    }
    // Switching takes the conductor a moment.
    setTimeout(() => void refetch(), 1000)
  }
  return (
    <>
      <div className="ferrite-log-bar">
        <Switch
          id="console-enabled"
          label={data.console_enabled ? 'The console is on' : 'The console is off'}
          isChecked={data.console_enabled}
          onChange={(_, checked) => void change(checked)}
        />
      </div>
      {fault !== undefined && <FaultAlert error={fault} what="switch the console" />}
      {data.console_enabled && (data.console_info?.type === 'vnc' ? <Screen node={node} /> : <Line node={node} />)}
    </>
  )
}

/** The page shows lines, and no screens. */
function Screen({ node }: { node: Node }) {
  return (
    <Alert variant="info" isInline title="This console is a screen">
      See it with <code>ferrite node console view {node.name ?? node.uuid}</code>, or choose a console interface that
      gives the serial line, such as <code>redfish-serial</code>.
    </Alert>
  )
}

type Link = 'connecting' | 'open' | 'closed'

function Line({ node }: { node: Node }) {
  const frame = useRef<HTMLDivElement>(null)
  const [link, setLink] = useState<Link>('connecting')
  const [attempt, setAttempt] = useState(0)
  // biome-ignore lint/correctness/useExhaustiveDependencies: a further attempt is a further connection
  useEffect(() => {
    const place = frame.current
    if (!place) return
    const terminal = new Terminal({
      documentOverride: withNonce(document),
      convertEol: false,
      fontFamily: 'RedHatMono, "Red Hat Mono", monospace',
      fontSize: 14,
      scrollback: 5000,
      screenReaderMode: true,
    })
    const fit = new FitAddon()
    terminal.loadAddon(fit)
    terminal.open(place)
    fit.fit()
    const observer = new ResizeObserver(() => fit.fit())
    observer.observe(place)
    setLink('connecting')
    const url = new URL(`/v1/nodes/${part(node.uuid)}/states/console/stream`, location.href)
    url.protocol = url.protocol.replace('http', 'ws')
    const socket = new WebSocket(url, socketProtocols())
    socket.binaryType = 'arraybuffer'
    socket.onopen = () => {
      setLink('open')
      terminal.focus()
    }
    socket.onmessage = ({ data }) =>
      terminal.write(typeof data === 'string' ? data : new Uint8Array(data as ArrayBuffer)) // binaryType says so
    socket.onclose = () => setLink('closed')
    const typed = terminal.onData(
      text => socket.readyState === WebSocket.OPEN && socket.send(new TextEncoder().encode(text)),
    )
    return () => {
      typed.dispose()
      socket.onclose = null
      socket.close()
      observer.disconnect()
      terminal.dispose()
    }
  }, [node.uuid, attempt])
  return (
    <>
      <div className="ferrite-facts">
        <Label isCompact color={link === 'open' ? 'green' : link === 'closed' ? 'red' : 'blue'}>
          {link === 'open' ? 'connected' : link === 'closed' ? 'not connected' : 'connecting'}
        </Label>
        {link === 'closed' && (
          <Button variant="link" isInline onClick={() => setAttempt(attempt + 1)}>
            Connect again
          </Button>
        )}
      </div>
      <div className="ferrite-terminal" ref={frame} />
    </>
  )
}

/** The page lets run only style sheets that carry its nonce; the terminal makes some, and knows of no nonce. */
function withNonce(page: Document): Document {
  const { nonce } = page.querySelector<HTMLElement>('meta[name="ferrite-style-nonce"]') ?? {}
  return new Proxy(page, {
    get(target, name) {
      if (name === 'createElement') {
        return (tag: string) => {
          const element = target.createElement(tag)
          if (tag === 'style' && nonce !== undefined) element.nonce = nonce
          return element
        }
      }
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
