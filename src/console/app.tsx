/** What is shown at all: the form to sign in, or the shell with the page of the present path. */
import { useQueryClient } from '@tanstack/react-query'
import { lazy, Suspense, use, useEffect } from 'react'
import { Route, Routes } from 'react-router'
import { followEvents } from './live.ts'
import { loadPart } from './load-part.ts'
import { pages } from './pages.ts'
import { Boundary } from './parts/boundary.tsx'
import { Loading } from './parts/loading.tsx'
import { NotFound } from './parts/not-found.tsx'
import { useTitle } from './parts/title.ts'
import { useSession } from './session.ts'
import { Shell } from './shell.tsx'

const SignIn = lazy(() => loadPart(() => import('./sign-in.tsx')))
const routes = pages.map(page => ({ ...page, Page: lazy(() => loadPart(page.load)) }))

export function App({ opening }: { opening: Promise<void> }) {
  return (
    <Boundary>
      <Suspense fallback={<Loading what="Ferrite" />}>
        <Opened opening={opening} />
      </Suspense>
    </Boundary>
  )
}

function Opened({ opening }: { opening: Promise<void> }) {
  use(opening)
  const state = useSession()
  if (state.kind === 'in') return <SignedIn />
  return <SignIn strategy={state.kind === 'out' ? state.strategy : 'http_basic'} />
}

function SignedIn() {
  const cache = useQueryClient()
  useEffect(() => {
    const leaving = new AbortController()
    void followEvents(cache, leaving.signal)
    return () => {
      leaving.abort()
      cache.clear() // Nothing that one user saw is shown to the next.
    }
  }, [cache])
  return (
    <Shell>
      <Routes>
        {routes.map(({ path, title, Page }) => (
          <Route
            key={path}
            path={path}
            element={
              <Titled title={title} key={path}>
                <Boundary key={path}>
                  <Suspense fallback={<Loading what={title} />}>
                    <Page />
                  </Suspense>
                </Boundary>
              </Titled>
            }
          />
        ))}
        <Route path="*" element={<NotFound />} />
      </Routes>
    </Shell>
  )
}

function Titled({ title, children }: { title: string; children: React.ReactNode }) {
  useTitle(title)
  return children
}
