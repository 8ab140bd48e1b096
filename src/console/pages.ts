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
]
