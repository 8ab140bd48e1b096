/** Making, changing and deleting a record of the API whose form is its JSON: with what is expected, and what was refused. */
import {
  Button,
  Form,
  FormGroup,
  FormHelperText,
  HelperText,
  HelperTextItem,
  Modal,
  ModalBody,
  ModalFooter,
  ModalHeader,
  TextArea,
} from '@patternfly/react-core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { ask, part } from '../api.ts'
import { FaultAlert, messageOf } from './fault-alert.tsx'

interface Kind {
  /** "runbook". */
  readonly noun: string
  /** `/v1/runbooks` */
  readonly path: string
  /** Of the list, asked anew afterwards. */
  readonly queryKey: readonly string[]
}

interface EditProps extends Kind {
  /** What the form begins with. */
  readonly start: object
  /** Name or UUID of the one that is changed; without it one is made. */
  readonly ident?: string | undefined
  readonly hint: string
  readonly onClose: () => void
}

/** @returns `[value]`, or why the text is none */
function read(text: string): [Record<string, unknown>] | string {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return [value as Record<string, unknown>]
    return 'This is JSON, but no object'
  } catch (error) {
    return messageOf(error)
  }
}

export function EditRecord({ noun, path, queryKey, start, ident, hint, onClose }: EditProps) {
  const [text, setText] = useState(() => JSON.stringify(start, null, 2))
  const cache = useQueryClient()
  const found = read(text)
  const verb = ident === undefined ? 'create' : 'change'
  const change = useMutation({
    mutationFn: (value: Record<string, unknown>) =>
      ident === undefined
        ? ask('POST', path, { body: value })
        : ask('PATCH', `${path}/${part(ident)}`, { body: patchOf(start as Record<string, unknown>, value) }),
    onSuccess: async () => {
      await cache.invalidateQueries({ queryKey })
      onClose()
    },
  })
  const isWrong = typeof found === 'string'
  return (
    <Modal isOpen onClose={onClose} variant="medium" aria-labelledby="edit-title">
      <ModalHeader title={ident === undefined ? `New ${noun}` : `Change ${noun} ${ident}`} labelId="edit-title" />
      <ModalBody tabIndex={0}>
        {change.error && <FaultAlert error={change.error} what={`${verb} the ${noun}`} />}
        <Form
          id="edit-form"
          onSubmit={event => {
            event.preventDefault()
            if (!isWrong) change.mutate(found[0])
          }}
        >
          <FormGroup label="As JSON" fieldId="edit-text" isRequired>
            <TextArea
              id="edit-text"
              className="ferrite-mono"
              rows={16}
              resizeOrientation="vertical"
              value={text}
              validated={isWrong ? 'error' : 'default'}
              onChange={(_, value) => setText(value)}
              aria-describedby="edit-hint"
              spellCheck={false}
            />
            <FormHelperText>
              <HelperText id="edit-hint" isLiveRegion>
                <HelperTextItem variant={isWrong ? 'error' : 'default'}>{isWrong ? found : hint}</HelperTextItem>
              </HelperText>
            </FormHelperText>
          </FormGroup>
        </Form>
      </ModalBody>
      <ModalFooter>
        <Button type="submit" form="edit-form" isDisabled={isWrong} isLoading={change.isPending}>
          {ident === undefined ? 'Create' : 'Save'}
        </Button>
        <Button variant="link" onClick={onClose}>
          Cancel
        </Button>
      </ModalFooter>
    </Modal>
  )
}

/** JSON Patch (RFC 6902) of the entries on top that are others now. */
function patchOf(before: Record<string, unknown>, after: Record<string, unknown>): object[] {
  const changed = Object.entries(after).filter(
    ([name, value]) => JSON.stringify(before[name]) !== JSON.stringify(value),
  )
  const gone = Object.keys(before).filter(name => !(name in after))
  return [
    ...changed.map(([name, value]) => ({ op: name in before ? 'replace' : 'add', path: `/${name}`, value })),
    ...gone.map(name => ({ op: 'remove', path: `/${name}` })),
  ]
}

export function DeleteRecord({ noun, path, queryKey, ident, onClose }: Kind & { ident: string; onClose: () => void }) {
  const cache = useQueryClient()
  const removal = useMutation({
    mutationFn: () => ask('DELETE', `${path}/${part(ident)}`),
    onSuccess: async () => {
      await cache.invalidateQueries({ queryKey })
      onClose()
    },
  })
  return (
    <Modal isOpen onClose={onClose} variant="small" aria-labelledby="delete-title">
      <ModalHeader title={`Delete ${noun} ${ident}?`} labelId="delete-title" titleIconVariant="warning" />
      <ModalBody tabIndex={0}>
        {removal.error && <FaultAlert error={removal.error} what={`delete the ${noun}`} />}
        <p>It is gone at once, and cannot be brought back.</p>
      </ModalBody>
      <ModalFooter>
        <Button variant="danger" onClick={() => removal.mutate()} isLoading={removal.isPending}>
          Delete
        </Button>
        <Button variant="link" onClick={onClose}>
          Cancel
        </Button>
      </ModalFooter>
    </Modal>
  )
}
