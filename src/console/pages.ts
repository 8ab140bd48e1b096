/**
 * Every page of the console, once: its path below /ui, its title, where the navigation has it and which keys lead
 * there. A page is a module that is loaded when it is shown first; a further page is a row here and its module.
 */
import type { ComponentType } from 'react'

export interface Page {
  /** Below /ui; parts that begin with a colon are parameters. */
  readonly path: string
  /** Of the document; pages of one thing put its name before it (useTitle of parts/title.ts). */
  readonly title: string
  /** Where the navigation shows it; without it the page is reached by links. */
  readonly nav?: { readonly group: Group; readonly label: string /** With `g` before it. */; readonly key?: string }
  readonly load: () => Promise<{ default: ComponentType }>
}

export const groups = ['Fleet', 'Provisioning', 'Service'] as const
export type Group = (typeof groups)[number]

export const pages: readonly Page[] = [
  {
    path: '/',
    title: 'Overview',
    nav: { group: 'Fleet', label: 'Overview', key: 'o' },
    load: () => import('./pages/overview.tsx'),
  },
  {
    path: '/nodes',
    title: 'Nodes',
    nav: { group: 'Fleet', label: 'Nodes', key: 'n' },
    load: () => import('./pages/nodes.tsx'),
  },
  { path: '/nodes/:ident/:tab?', title: 'Node', load: () => import('./pages/node.tsx') },
  {
    path: '/enrol',
    title: 'Enrol',
    nav: { group: 'Fleet', label: 'Enrol', key: 'e' },
    load: () => import('./pages/enrol.tsx'),
  },
  {
    path: '/failures',
    title: 'Failures',
    nav: { group: 'Fleet', label: 'Failures', key: 'f' },
    load: () => import('./pages/failures.tsx'),
  },
  {
    path: '/events',
    title: 'Events',
    nav: { group: 'Fleet', label: 'Events', key: 'v' },
    load: () => import('./pages/events.tsx'),
  },
  {
    path: '/deploy',
    title: 'Deploy',
    nav: { group: 'Provisioning', label: 'Deploy', key: 'd' },
    load: () => import('./pages/deploy.tsx'),
  },
  {
    path: '/allocations',
    title: 'Allocations',
    nav: { group: 'Provisioning', label: 'Allocations', key: 'a' },
    load: () => import('./pages/allocations.tsx'),
  },
  {
    path: '/deploy-templates',
    title: 'Deploy templates',
    nav: { group: 'Provisioning', label: 'Deploy templates', key: 't' },
    load: () => import('./pages/deploy-templates.tsx'),
  },
  {
    path: '/runbooks',
    title: 'Runbooks',
    nav: { group: 'Provisioning', label: 'Runbooks', key: 'r' },
    load: () => import('./pages/runbooks.tsx'),
  },
  {
    path: '/inspection-rules',
    title: 'Inspection rules',
    nav: { group: 'Provisioning', label: 'Inspection rules', key: 'i' },
    load: () => import('./pages/inspection-rules.tsx'),
  },
  {
    path: '/images',
    title: 'Images and cache',
    nav: { group: 'Provisioning', label: 'Images and cache', key: 'm' },
    load: () => import('./pages/images.tsx'),
  },
  {
    path: '/boots',
    title: 'Leases and boot attempts',
    nav: { group: 'Service', label: 'Leases and boots', key: 'b' },
    load: () => import('./pages/boots.tsx'),
  },
  {
    path: '/conductors',
    title: 'Conductors',
    nav: { group: 'Service', label: 'Conductors', key: 'c' },
    load: () => import('./pages/conductors.tsx'),
  },
  {
    path: '/settings',
    title: 'Settings',
    nav: { group: 'Service', label: 'Settings', key: 's' },
    load: () => import('./pages/settings.tsx'),
  },
  {
    path: '/account',
    title: 'Users and sessions',
    nav: { group: 'Service', label: 'Users and sessions', key: 'u' },
    load: () => import('./pages/account.tsx'),
  },
]
