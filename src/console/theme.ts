/** Light or dark: as the system has it, unless the user chose. The choice is kept in this browser. */
import { useSyncExternalStore } from 'react'

export type Theme = 'system' | 'light' | 'dark'
export const themes: readonly Theme[] = ['system', 'light', 'dark']

const storageKey = 'ferrite.theme'
const system = matchMedia('(prefers-color-scheme: dark)')
const listeners = new Set<() => void>()
let chosen: Theme = themes.find(one => one === localStorage.getItem(storageKey)) ?? 'system'

export function useTheme(): { chosen: Theme; isDark: boolean } {
  const text = useSyncExternalStore(
    listener => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => `${chosen} ${isDark()}`,
  )
  return { chosen, isDark: text.endsWith('true') }
}

export function chooseTheme(theme: Theme): void {
  chosen = theme
  localStorage.setItem(storageKey, theme)
  apply()
}

/** Puts the theme in force, now and whenever the system changes. */
export function applyTheme(): void {
  apply()
  system.addEventListener('change', apply)
}

function isDark(): boolean {
  return chosen === 'dark' || (chosen === 'system' && system.matches)
}

function apply(): void {
  document.documentElement.classList.toggle('pf-v6-theme-dark', isDark())
  for (const listener of listeners) listener()
}
