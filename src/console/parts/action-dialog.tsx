/**
 * The question before something is done to nodes, and what came of it: how many it concerns and whom not, what else it
 * needs to know, and then the result for each node, as it comes.
 */
import {
  Alert,
  Button,
  Checkbox,
  Form,
  FormGroup,
  FormHelperText,
  HelperText,
  HelperTextItem,
  Label,
  Modal,
  ModalBody,
  ModalFooter,
  ModalHeader,
  Progress,
  TextArea,
  TextInput,
} from '@patternfly/react-core'
import { useState } from 'react'
import type { Action, Actionable } from '../verbs.ts'
import { messageOf, nextMove } from './fault-alert.tsx'

interface Props {
  readonly action: Action
  readonly nodes: readonly Actionable[]
  readonly onClose: () => void
}

type Outcome = { readonly kind: 'done' } | { readonly kind: 'failed'; readonly error: unknown }

/** So many requests at a time: the service works on them as it can, and answers each at once. */
const atOnce = 6

export function ActionDialog({ action, nodes, onClose }: Props) {
  const [answer, setAnswer] = useState('')
  const [agreed, setAgreed] = useState(false)
  const [outcomes, setOutcomes] = useState<ReadonlyMap<string, Outcome>>()
  const possible = nodes.filter(node => action.refusal(node) === undefined)
  const [chosen] = useState(possible)
  const skipped = nodes.filter(node => !chosen.includes(node))
  const problem = problemWith(action, answer)
  const needsAgreement = action.isDestructive === true
  const start = async () => {
    const gathered = new Map<string, Outcome>()
    setOutcomes(new Map(gathered))
    const waiting = [...chosen].reverse()
    const worker = async () => {
      for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
        gathered.set(node.uuid, await outcomeOf(action.run(node, answer)))
        setOutcomes(new Map(gathered))
      }
    }
    await Promise.all(Array.from({ length: atOnce }, worker))
  }
  const count =
    chosen.length === 1 ? (chosen[0]?.name ?? chosen[0]?.uuid ?? '') : `${chosen.length.toLocaleString()} nodes`
  const title = `${action.label.replace(' …', '')}: ${count}`
  return (
    <Modal isOpen onClose={onClose} variant="medium" aria-labelledby="action-title">
      <ModalHeader title={title} labelId="action-title" description={action.about} />
      <ModalBody tabIndex={0}>
        {outcomes ? (
          <Results nodes={chosen} outcomes={outcomes} />
        ) : (
          <Form
            id="action-form"
            onSubmit={event => {
              event.preventDefault()
              void start()
            }}
          >
            {skipped.length > 0 && <Skipped nodes={skipped} action={action} />}
            <Asked action={action} answer={answer} onChange={setAnswer} problem={answer === '' ? undefined : problem} />
            {needsAgreement && (
              <Checkbox
                id="agreed"
                label={`Yes, ${action.verb} ${count}`}
                isChecked={agreed}
                onChange={(_, checked) => setAgreed(checked)}
              />
            )}
          </Form>
        )}
      </ModalBody>
      <ModalFooter>
        {outcomes ? (
          <Button onClick={onClose}>Close</Button>
        ) : (
          <>
            <Button
              type="submit"
              form="action-form"
              variant={needsAgreement ? 'danger' : 'primary'}
              isDisabled={chosen.length === 0 || problem !== undefined || (needsAgreement && !agreed)}
            >
              {action.label.replace(' …', '')}
            </Button>
            <Button variant="link" onClick={onClose}>
              Cancel
            </Button>
          </>
        )}
      </ModalFooter>
    </Modal>
  )
}

function Skipped({ nodes, action }: { nodes: readonly Actionable[]; action: Action }) {
  const reasons = new Map<string, number>()
  for (const node of nodes) {
    const reason = action.refusal(node) ?? ''
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
  }
  return (
    <Alert variant="info" isInline title={`${nodes.length.toLocaleString()} of the nodes are left out`}>
      {[...reasons].map(([reason, count]) => (
        <p key={reason}>
          {count.toLocaleString()}: {reason}
        </p>
      ))}
    </Alert>
  )
}

interface AskedProps {
  readonly action: Action
  readonly answer: string
  readonly onChange: (answer: string) => void
  readonly problem: string | undefined
}

function Asked({ action, answer, onChange, problem }: AskedProps) {
  const validated = problem === undefined ? 'default' : 'error'
  const input = { value: answer, validated, onChange: (_: unknown, text: string) => onChange(text) } as const
  if (action.asks === undefined) return null
  const [label, hint] = {
    steps: ['Steps', 'A list in JSON, such as [{"interface": "deploy", "step": "erase_devices_metadata"}]'],
    password: ['Password of the rescue system', 'For the user "rescue"'],
    reason: ['Reason', 'Shown to everybody who looks at the node'],
  }[action.asks] as [string, string]
  return (
    <FormGroup label={label} fieldId="asked" isRequired={action.asks !== 'reason'}>
      {action.asks === 'steps' ? (
        <TextArea id="asked" {...input} rows={6} className="ferrite-mono" aria-describedby="asked-hint" />
      ) : (
        <TextInput
          id="asked"
          {...input}
          type={action.asks === 'password' ? 'password' : 'text'}
          autoComplete={action.asks === 'password' ? 'new-password' : 'off'}
          aria-describedby="asked-hint"
        />
      )}
      <FormHelperText>
        <HelperText id="asked-hint">
          <HelperTextItem variant={validated}>{problem ?? hint}</HelperTextItem>
        </HelperText>
      </FormHelperText>
    </FormGroup>
  )
}

function Results({ nodes, outcomes }: { nodes: readonly Actionable[]; outcomes: ReadonlyMap<string, Outcome> }) {
  const failed = [...outcomes.values()].filter(outcome => outcome.kind === 'failed').length
  const isOver = outcomes.size === nodes.length
  // Those that failed are what somebody has to look at.
  const rank = (node: Actionable) => (outcomes.get(node.uuid)?.kind === 'failed' ? 0 : 1)
  return (
    <div aria-live="polite">
      <Progress
        value={(outcomes.size / Math.max(1, nodes.length)) * 100}
        title={
          isOver ? `${outcomes.size - failed} asked for, ${failed} refused` : `${outcomes.size} of ${nodes.length}`
        }
        variant={isOver ? (failed > 0 ? 'danger' : 'success') : undefined}
      />
      <ul className="ferrite-results">
        {[...nodes]
          .sort((a, b) => rank(a) - rank(b))
          .slice(0, 200)
          .map(node => (
            <Result key={node.uuid} node={node} outcome={outcomes.get(node.uuid)} />
          ))}
      </ul>
    </div>
  )
}

function Result({ node, outcome }: { node: Actionable; outcome: Outcome | undefined }) {
  const label = !outcome ? (
    <Label isCompact>waiting</Label>
  ) : outcome.kind === 'done' ? (
    <Label isCompact color="green">
      accepted
    </Label>
  ) : (
    <Label isCompact color="red">
      refused
    </Label>
  )
  return (
    <li>
      <div className="ferrite-between">
        <span>{node.name ?? node.uuid}</span>
        {label}
      </div>
      {outcome?.kind === 'failed' && (
        <div className="ferrite-small">
          {messageOf(outcome.error)} {nextMove(outcome.error)}
        </div>
      )}
    </li>
  )
}

function problemWith({ asks }: Action, answer: string): string | undefined {
  if (asks === 'password' && answer === '') return 'Expected a password'
  if (asks !== 'steps') return undefined
  try {
    const steps: unknown = JSON.parse(answer)
    return Array.isArray(steps) && steps.length > 0 ? undefined : 'Expected a list of one step at least'
  } catch (error) {
    return `That is no JSON: ${messageOf(error)}`
  }
}

async function outcomeOf(work: Promise<unknown>): Promise<Outcome> {
  try {
    await work
    return { kind: 'done' }
  } catch (error) {
    return { kind: 'failed', error }
  }
}
