/** A node: what it is and does now, what may be asked of it, and everything about it in tabs that the address names. */
import {
  Alert,
  Breadcrumb,
  BreadcrumbItem,
  Button,
  Dropdown,
  DropdownItem,
  DropdownList,
  MenuToggle,
  PageBreadcrumb,
  PageSection,
  Tab,
  Tabs,
  TabTitleText,
  Title,
  Tooltip,
} from '@patternfly/react-core'
import { useQuery } from '@tanstack/react-query'
import { type ComponentType, lazy, Suspense, useState } from 'react'
import { Link, useNavigate, useParams } from 'react-router'
import { get, part } from '../api.ts'
import { inStateMs, isBusy } from '../expected.ts'
import { loadPart } from '../load-part.ts'
import type { Node } from '../node-type.ts'
import { ActionDialog } from '../parts/action-dialog.tsx'
import { Boundary } from '../parts/boundary.tsx'
import { FaultAlert } from '../parts/fault-alert.tsx'
import { Loading } from '../parts/loading.tsx'
import { Fault, Maintenance, Power, StateLabel } from '../parts/state-label.tsx'
import { duration, useNow } from '../parts/time.ts'
import { useTitle } from '../parts/title.ts'
import { type Action, leadsTo, maintenanceActions, powerActions, provisionActions } from '../verbs.ts'
import { RunNow } from './node/run-now.tsx'

/** What each tab's module exports. */
export type TabProps = { readonly node: Node }

const tab = (id: string, label: string, load: () => Promise<{ default: ComponentType<TabProps> }>) => ({
  id,
  label,
  Body: lazy(() => loadPart(load)),
})

const tabs = [
  tab('overview', 'Overview', () => import('./node/overview.tsx')),
  tab('timeline', 'Timeline', () => import('./node/timeline.tsx')),
  tab('inventory', 'Inventory', () => import('./node/inventory.tsx')),
  tab('disks', 'Disks', () => import('./node/disks.tsx')),
  tab('network', 'Network', () => import('./node/network.tsx')),
  tab('firmware', 'BIOS, firmware, RAID', () => import('./node/firmware.tsx')),
  tab('steps', 'Steps', () => import('./node/steps.tsx')),
  tab('logs', 'Logs', () => import('./node/logs.tsx')),
  tab('console', 'Serial console', () => import('./node/serial-console.tsx')),
  tab('history', 'History', () => import('./node/history.tsx')),
  tab('validate', 'Validation', () => import('./node/validation.tsx')),
  tab('why', 'Why?', () => import('./node/why.tsx')),
]

const panelId = 'node-tab'

/** While somebody works on the node it is looked at without being told: progress makes no events. */
const busyMs = 2000
const idleMs = 30_000

export default function NodePage() {
  const { ident = '' } = useParams()
  const {
    data: node,
    error,
    refetch,
  } = useQuery({
    queryKey: ['node', ident, 'itself'],
    queryFn: ({ signal }) => get<Node>(`/v1/nodes/${part(ident)}`, { signal }),
    refetchInterval: ({ state }) => (state.data && isBusy(state.data) ? busyMs : idleMs),
  })
  return (
    <>
      <PageBreadcrumb>
        <Breadcrumb>
          <BreadcrumbItem
            render={({ className }) => (
              <Link to="/nodes" className={className}>
                Nodes
              </Link>
            )}
          />
          <BreadcrumbItem isActive>{node?.name ?? ident}</BreadcrumbItem>
        </Breadcrumb>
      </PageBreadcrumb>
      {!node && (
        <PageSection>
          {error ? (
            <>
              <Title headingLevel="h1" className="ferrite-heading">
                {ident}
              </Title>
              <FaultAlert error={error} what={`show node ${ident}`} onRetry={() => void refetch()} />
            </>
          ) : (
            <Loading what={ident} />
          )}
        </PageSection>
      )}
      {node && <Known node={node} />}
    </>
  )
}

function Known({ node }: { node: Node }) {
  const { tab } = useParams()
  const [action, setAction] = useState<Action>()
  useTitle(node.name ?? node.uuid)
  return (
    <>
      <PageSection>
        <Head node={node} onAction={setAction} />
        {isBusy(node) && <RunNow node={node} />}
        {node.last_error !== null && tab !== 'why' && (
          <Alert
            variant="danger"
            isInline
            title={node.last_error}
            actionLinks={<Link to={`/nodes/${part(node.uuid)}/why`}>Why, and what to do</Link>}
          />
        )}
        {node.maintenance && (
          <Alert
            variant="warning"
            isInline
            isPlain
            title={`In maintenance${node.maintenance_reason ? `: ${node.maintenance_reason}` : ''}`}
          />
        )}
      </PageSection>
      <PageSection isFilled>
        <NodeTabs node={node} />
      </PageSection>
      {action && <ActionDialog action={action} nodes={[node]} onClose={() => setAction(undefined)} />}
    </>
  )
}

function Head({ node, onAction }: { node: Node; onAction: (action: Action) => void }) {
  const nowMs = useNow()
  const verbs = provisionActions.filter(action => leadsTo(node.provision_state, action) !== undefined)
  const since = inStateMs(node, nowMs)
  return (
    <div className="ferrite-head">
      <div>
        <Title headingLevel="h1">{node.name ?? node.uuid}</Title>
        <div className="ferrite-facts">
          <StateLabel state={node.provision_state} isCompact={false} />
          {since !== undefined && <span className="ferrite-subtle">for {duration(since)}</span>}
          <Power state={node.power_state} target={node.target_power_state} />
          {node.maintenance && <Maintenance reason={node.maintenance_reason} />}
          {node.fault !== null && <Fault fault={node.fault} />}
          {node.reservation !== null && <span className="ferrite-subtle">worked on by {node.reservation}</span>}
        </div>
      </div>
      <div className="ferrite-actions">
        {verbs.map((action, index) => (
          <Verb key={action.id} action={action} node={node} isFirst={index === 0} onAction={onAction} />
        ))}
        <Menu label="Power" actions={powerActions} node={node} onAction={onAction} />
        <Menu label="Care" actions={maintenanceActions} node={node} onAction={onAction} />
      </div>
    </div>
  )
}

interface VerbProps {
  readonly action: Action
  readonly node: Node
  readonly isFirst: boolean
  readonly onAction: (action: Action) => void
}

function Verb({ action, node, isFirst, onAction }: VerbProps) {
  const refusal = action.refusal(node)
  const variant = action.isDestructive ? 'secondary' : isFirst ? 'primary' : 'secondary'
  return (
    <Tooltip
      content={
        refusal === undefined
          ? `${action.about} Leads to "${leadsTo(node.provision_state, action)}".`
          : `Not now: ${refusal}`
      }
    >
      <Button
        variant={variant}
        isDanger={action.isDestructive === true}
        isAriaDisabled={refusal !== undefined}
        onClick={() => onAction(action)}
      >
        {action.label}
      </Button>
    </Tooltip>
  )
}

interface MenuProps {
  readonly label: string
  readonly actions: readonly Action[]
  readonly node: Node
  readonly onAction: (action: Action) => void
}

function Menu({ label, actions, node, onAction }: MenuProps) {
  const [open, setOpen] = useState(false)
  return (
    <Dropdown
      isOpen={open}
      onOpenChange={setOpen}
      onSelect={() => setOpen(false)}
      popperProps={{ position: 'end' }}
      toggle={ref => (
        <MenuToggle ref={ref} isExpanded={open} onClick={() => setOpen(!open)}>
          {label}
        </MenuToggle>
      )}
    >
      <DropdownList>
        {actions.map(action => {
          const refusal = action.refusal(node)
          return (
            <DropdownItem
              key={action.id}
              isAriaDisabled={refusal !== undefined}
              isDanger={action.isDestructive === true && refusal === undefined}
              description={refusal}
              onClick={() => refusal === undefined && onAction(action)}
            >
              {action.label}
            </DropdownItem>
          )
        })}
      </DropdownList>
    </Dropdown>
  )
}

function NodeTabs({ node }: TabProps) {
  const { ident = '', tab: named } = useParams()
  const navigate = useNavigate()
  const present = tabs.find(({ id }) => id === named) ?? tabs[0]
  if (!present) return null
  const { Body } = present
  return (
    <>
      <Tabs
        activeKey={present.id}
        onSelect={(_, id) => void navigate(`/nodes/${part(ident)}${id === 'overview' ? '' : `/${id}`}`)}
        aria-label="About the node"
        className="ferrite-tabs"
      >
        {tabs.map(({ id, label }) => (
          <Tab
            key={id}
            eventKey={id}
            title={<TabTitleText>{label}</TabTitleText>}
            tabContentId={panelId}
            href={`/ui/nodes/${part(ident)}${id === 'overview' ? '' : `/${id}`}`}
            onClick={event => event.preventDefault()}
          />
        ))}
      </Tabs>
      <div role="tabpanel" id={panelId} aria-label={present.label} className="ferrite-tab" key={present.id}>
        <Boundary key={present.id}>
          <Suspense fallback={<Loading what={present.label} />}>
            <Body node={node} />
          </Suspense>
        </Boundary>
      </div>
    </>
  )
}
