/** The form by which somebody says who they are, for each way that the service may ask for it. */
import {
  ActionGroup,
  Button,
  Card,
  CardBody,
  CardTitle,
  Form,
  FormGroup,
  FormHelperText,
  HelperText,
  HelperTextItem,
  TextArea,
  TextInput,
  ToggleGroup,
  ToggleGroupItem,
} from '@patternfly/react-core'
import { type FormEvent, useState } from 'react'
import { ApiFault, ask } from './api.ts'
import logo from './logo.svg'
import { FaultAlert } from './parts/fault-alert.tsx'
import { useTitle } from './parts/title.ts'
import { type Session, type Strategy, signIn } from './session.ts'

export default function SignIn({ strategy }: { strategy: Strategy }) {
  useTitle('Sign in')
  return (
    <main className="ferrite-sign-in">
      <Card isLarge>
        <CardTitle component="h1">
          <img src={logo} alt="" width="32" height="32" /> Sign in to Ferrite
        </CardTitle>
        <CardBody>{strategy === 'keystone' ? <ByKeystone /> : <ByPassword />}</CardBody>
      </Card>
    </main>
  )
}

/** Submits a session, if the service takes it. */
function useAttempt() {
  const [error, setError] = useState<unknown>()
  const [busy, setBusy] = useState(false)
  const attempt = (make: () => Promise<Session>) => async (event: FormEvent) => {
    event.preventDefault()
    setBusy(true)
    setError(undefined)
    try {
      const session = await make()
      await check(session)
      signIn(session)
    } catch (thrown) {
      setError(thrown)
      setBusy(false)
    }
  }
  return { error, busy, attempt }
}

/** One question that every caller may ask who is known. @throws ApiFault */
async function check({ headers }: Session): Promise<void> {
  const answer = await fetch('/v1/nodes?limit=1&fields=uuid', { credentials: 'omit', headers })
  if (answer.status === 401) {
    throw new ApiFault(403, 'The service does not know this name with this password, or this token.', null)
  }
}

function ByPassword() {
  const [user, setUser] = useState('')
  const [password, setPassword] = useState('')
  const { error, busy, attempt } = useAttempt()
  const bytes = new TextEncoder().encode(`${user}:${password}`)
  const session: Session = {
    strategy: 'http_basic',
    headers: { authorization: `Basic ${btoa(String.fromCharCode(...bytes))}` },
    user,
    scope: null,
    roles: [],
  }
  return (
    <Form onSubmit={attempt(async () => session)}>
      <Field label="Name" value={user} onChange={setUser} autoComplete="username" isFirst />
      <Field label="Password" value={password} onChange={setPassword} type="password" autoComplete="current-password" />
      <Submit busy={busy} error={error} isReady={user !== '' && password !== ''} />
    </Form>
  )
}

type Way = 'password' | 'token'

function ByKeystone() {
  const [way, setWay] = useState<Way>('password')
  return (
    <>
      <ToggleGroup aria-label="How to sign in" className="ferrite-ways">
        <ToggleGroupItem text="Name and password" isSelected={way === 'password'} onChange={() => setWay('password')} />
        <ToggleGroupItem text="Token" isSelected={way === 'token'} onChange={() => setWay('token')} />
      </ToggleGroup>
      {way === 'password' ? <KeystonePassword /> : <KeystoneToken />}
    </>
  )
}

/** What POST /ui/session answers: SignedIn of src/server/ui/sign-in.ts. */
interface SignedIn {
  readonly token: string
  readonly user: string | null
  readonly project: string | null
  readonly roles: readonly string[]
}

function KeystonePassword() {
  const [user, setUser] = useState('')
  const [password, setPassword] = useState('')
  const [domain, setDomain] = useState('Default')
  const [project, setProject] = useState('')
  const { error, busy, attempt } = useAttempt()
  const make = async (): Promise<Session> => {
    const scope = project === '' ? {} : { project_name: project, project_domain_name: domain }
    const body = { username: user, password, user_domain_name: domain, ...scope }
    const told = await ask<SignedIn>('POST', '/ui/session', { body })
    return sessionOf(told.token, told.user ?? user, told.project ?? 'The whole system', told.roles)
  }
  return (
    <Form onSubmit={attempt(make)}>
      <Field label="Name" value={user} onChange={setUser} autoComplete="username" isFirst />
      <Field label="Password" value={password} onChange={setPassword} type="password" autoComplete="current-password" />
      <Field label="Domain" value={domain} onChange={setDomain} />
      <Field label="Project" value={project} onChange={setProject} help="Empty: sign in for the whole system" />
      <Submit busy={busy} error={error} isReady={user !== '' && password !== '' && domain !== ''} />
    </Form>
  )
}

function KeystoneToken() {
  const [token, setToken] = useState('')
  const { error, busy, attempt } = useAttempt()
  return (
    <Form onSubmit={attempt(async () => sessionOf(token.trim(), 'Token', null, []))}>
      <FormGroup label="Token" fieldId="token" isRequired>
        <TextArea id="token" value={token} onChange={(_, value) => setToken(value)} isRequired rows={4} />
        <FormHelperText>
          <HelperText>
            <HelperTextItem>
              As <code>openstack token issue</code> prints it
            </HelperTextItem>
          </HelperText>
        </FormHelperText>
      </FormGroup>
      <Submit busy={busy} error={error} isReady={token.trim() !== ''} />
    </Form>
  )
}

function sessionOf(token: string, user: string, scope: string | null, roles: readonly string[]): Session {
  return { strategy: 'keystone', headers: { 'x-auth-token': token }, user, scope, roles }
}

interface FieldProps {
  readonly label: string
  readonly value: string
  readonly onChange: (value: string) => void
  readonly type?: 'text' | 'password'
  readonly autoComplete?: string
  readonly help?: string
  readonly isFirst?: boolean
}

function Field({ label, value, onChange, type = 'text', autoComplete = 'off', help, isFirst = false }: FieldProps) {
  const id = `field-${label.toLowerCase()}`
  return (
    <FormGroup label={label} fieldId={id} isRequired={help === undefined}>
      <TextInput
        id={id}
        value={value}
        type={type}
        autoComplete={autoComplete}
        isRequired={help === undefined}
        // The form is all that there is on this page.
        autoFocus={isFirst}
        onChange={(_, text) => onChange(text)}
      />
      {help !== undefined && (
        <FormHelperText>
          <HelperText>
            <HelperTextItem>{help}</HelperTextItem>
          </HelperText>
        </FormHelperText>
      )}
    </FormGroup>
  )
}

function Submit({ busy, error, isReady }: { busy: boolean; error: unknown; isReady: boolean }) {
  return (
    <>
      {error !== undefined && <FaultAlert error={error} what="sign in" />}
      <ActionGroup>
        <Button type="submit" isBlock isLoading={busy} isDisabled={busy || !isReady}>
          Sign in
        </Button>
      </ActionGroup>
    </>
  )
}
