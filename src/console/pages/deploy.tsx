/**
 * Deploying nodes, step by step: which, what, how, then what would happen, and how it goes. Plans are made as if the nodes
 * had what was said; only the last button writes anything.
 */
import { PageSection, Title, Wizard, WizardStep } from '@patternfly/react-core'
import { useMemo, useState } from 'react'
import { useSearchParams } from 'react-router'
import { ask, part } from '../api.ts'
import { type FleetNode, useFleet } from '../fleet.ts'
import { FaultAlert } from '../parts/fault-alert.tsx'
import { ChooseNodes } from './deploy/choose-nodes.tsx'
import { DryRun, isPossible } from './deploy/dry-run.tsx'
import { ImageForm, OptionsForm } from './deploy/forms.tsx'
import { type Asking, type Askings, Progress } from './deploy/progress.tsx'
import { usePlans } from './deploy/use-plans.ts'
import {
  bodyOf,
  checksumProblem,
  instanceInfoOf,
  losesInstance,
  noWish,
  stepsProblem,
  type Wish,
} from './deploy/wish.ts'

/** So many requests at a time: the service works on them as it can, and answers each at once. */
const atOnce = 6
const noNodes: readonly FleetNode[] = []

export default function Deploy() {
  const { data: fleet, error, refetch } = useFleet()
  const chosenByAddress = useChosenByAddress(fleet?.nodes)
  const [chosenHere, setChosen] = useState<ReadonlySet<string>>()
  const [told, setTold] = useState(noWish)
  /** As they were when they were planned: events must not plan them anew. */
  const [planned, setPlanned] = useState(noNodes)
  const [round, setRound] = useState(0)
  const [isAgreed, setAgreed] = useState(false)
  const [askings, setAskings] = useState<Askings>()
  const chosen = chosenHere ?? chosenByAddress
  const isOne = chosen.size === 1
  // What holds for one node alone is not said of several.
  const wish = useMemo(() => (isOne ? told : { ...told, rootSerial: '', hostName: '' }), [told, isOne])
  const plans = usePlans(planned, wish, round)
  const change = (some: Partial<Wish>) => setTold(now => ({ ...now, ...some }))
  const possible = planned.filter(({ uuid }) => isPossible(plans.get(uuid)))
  const needsAgreement = possible.some(losesInstance) && !isAgreed
  const isBegun = askings !== undefined
  const isTypedWell = checksumProblem(wish) === undefined && stepsProblem(wish) === undefined
  const onStep = (id: string | number) => {
    if (id === 'plan') {
      setAgreed(false)
      setPlanned((fleet?.nodes ?? []).filter(({ uuid }) => chosen.has(uuid)))
    } else if (id === 'progress' && !isBegun) void deployAll(possible, wish, setAskings)
    // What is not looked at is not planned.
    else if (!isBegun) setPlanned(noNodes)
  }
  const footer = { isCancelHidden: true }
  return (
    <PageSection isFilled>
      <div className="ferrite-heading">
        <Title headingLevel="h1">Deploy</Title>
        <p className="ferrite-subtle">
          What would happen is shown before it does: disks by their serial numbers, reboots, time.
        </p>
      </div>
      {error && <FaultAlert error={error} what="read the fleet" onRetry={() => void refetch()} />}
      <Wizard
        height="max(32rem, calc(100vh - 15rem))"
        navAriaLabel="Steps to a deployment"
        isVisitRequired
        onStepChange={(_, { id }) => onStep(id)}
      >
        <WizardStep
          id="nodes"
          name="Nodes"
          isDisabled={isBegun}
          footer={{ ...footer, isNextDisabled: chosen.size === 0 }}
        >
          <ChooseNodes nodes={fleet?.nodes} chosen={chosen} onChange={setChosen} />
        </WizardStep>
        <WizardStep
          id="image"
          name="Image"
          isDisabled={isBegun || chosen.size === 0}
          footer={{ ...footer, isNextDisabled: checksumProblem(wish) !== undefined }}
        >
          <ImageForm wish={wish} onChange={change} />
        </WizardStep>
        <WizardStep
          id="options"
          name="Options and steps"
          isDisabled={isBegun || chosen.size === 0 || checksumProblem(wish) !== undefined}
          footer={{ ...footer, isNextDisabled: !isTypedWell }}
        >
          <OptionsForm wish={wish} onChange={change} isOne={isOne} />
        </WizardStep>
        <WizardStep
          id="plan"
          name="What would happen"
          isDisabled={isBegun || chosen.size === 0 || !isTypedWell}
          footer={{
            ...footer,
            nextButtonText: deployLabel(possible),
            isNextDisabled: plans.size < planned.length || possible.length === 0 || needsAgreement,
          }}
        >
          <DryRun
            nodes={planned}
            plans={plans}
            isAgreed={isAgreed}
            onAgree={setAgreed}
            onAgain={() => setRound(now => now + 1)}
          />
        </WizardStep>
        <WizardStep id="progress" name="Progress" footer={<span />}>
          {askings && (
            <Progress nodes={(fleet?.nodes ?? []).filter(({ uuid }) => askings.has(uuid))} askings={askings} />
          )}
        </WizardStep>
      </Wizard>
    </PageSection>
  )
}

/** The nodes that the address names, by UUID or name: where other pages lead here. */
function useChosenByAddress(nodes: readonly FleetNode[] | undefined): ReadonlySet<string> {
  const [query] = useSearchParams()
  const named = query.get('node')
  return useMemo(() => {
    const wanted = new Set(named?.split(',').filter(Boolean))
    const found =
      wanted.size === 0 ? [] : (nodes ?? []).filter(({ uuid, name }) => wanted.has(uuid) || wanted.has(name ?? ''))
    return new Set(found.map(({ uuid }) => uuid))
  }, [named, nodes])
}

function deployLabel(possible: readonly FleetNode[]): string {
  const [only] = possible
  if (!only) return 'Deploy'
  return possible.length === 1 ? `Deploy ${only.name ?? only.uuid}` : `Deploy ${possible.length} nodes`
}

/** Asks for all of them, a few at a time; tells what came of it as it comes. */
async function deployAll(nodes: readonly FleetNode[], wish: Wish, onChange: (askings: Askings) => void): Promise<void> {
  const askings = new Map<string, Asking>(nodes.map(({ uuid }) => [uuid, { kind: 'waiting' }]))
  onChange(new Map(askings))
  const waiting = nodes.toReversed()
  const worker = async () => {
    for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
      try {
        await deploy(node, wish)
        askings.set(node.uuid, { kind: 'accepted', since: node.provision_updated_at })
      } catch (error) {
        askings.set(node.uuid, { kind: 'refused', error })
      }
      onChange(new Map(askings))
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

async function deploy(node: FleetNode, wish: Wish): Promise<void> {
  const path = `/v1/nodes/${part(node.uuid)}`
  const info = Object.entries(instanceInfoOf(wish))
  if (info.length > 0) {
    const body = info.map(([name, value]) => ({ op: 'add', path: `/instance_info/${name}`, value }))
    await ask('PATCH', path, { body })
  }
  await ask('PUT', `${path}/states/provision`, { body: bodyOf(wish, node) })
}
