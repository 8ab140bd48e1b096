/** Where the console begins: theme, session, cache, shell. */
import '@patternfly/react-core/dist/styles/base.css'
import './style.css'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { BrowserRouter } from 'react-router'
import { ApiFault } from './api.ts'
import { App } from './app.tsx'
import { openSession } from './session.ts'
import { applyTheme } from './theme.ts'

const cache = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      refetchOnWindowFocus: false,
      // What the service refuses it refuses again; what it cannot do now it may a moment later.
      retry: (count, error) => count < 3 && error instanceof ApiFault && (error.status === 0 || error.status >= 500),
    },
  },
})

applyTheme()
const root = createRoot(document.getElementById('root')!) // in the page that the service writes
root.render(
  <StrictMode>
    <QueryClientProvider client={cache}>
      <BrowserRouter basename="/ui">
        <App opening={openSession()} />
      </BrowserRouter>
    </QueryClientProvider>
  </StrictMode>,
)
