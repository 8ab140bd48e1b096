/** What stands around every page: masthead with search and user, navigation, keys, the way past all that. */
import {
  Brand,
  Button,
  Dropdown,
  DropdownItem,
  DropdownList,
  Label,
  Masthead,
  MastheadBrand,
  MastheadContent,
  MastheadLogo,
  MastheadMain,
  MastheadToggle,
  MenuToggle,
  Nav,
  NavGroup,
  NavItem,
  Page,
  PageSidebar,
  PageSidebarBody,
  PageToggleButton,
  SearchInput,
  SkipToContent,
  Toolbar,
  ToolbarContent,
  ToolbarGroup,
  ToolbarItem,
  Tooltip,
} from '@patternfly/react-core'
import AdjustIcon from '@patternfly/react-icons/dist/esm/icons/adjust-icon'
import BarsIcon from '@patternfly/react-icons/dist/esm/icons/bars-icon'
import KeyboardIcon from '@patternfly/react-icons/dist/esm/icons/keyboard-icon'
import MoonIcon from '@patternfly/react-icons/dist/esm/icons/moon-icon'
import SunIcon from '@patternfly/react-icons/dist/esm/icons/sun-icon'
import { type ReactNode, useEffect, useRef, useState } from 'react'
import { Link, useLocation, useNavigate } from 'react-router'
import { KeysHelp, useKeys } from './keyboard.tsx'
import { useConnected } from './live.ts'
import logo from './logo.svg'
import { groups, pages } from './pages.ts'
import { signOut, useSession } from './session.ts'
import { chooseTheme, type Theme, themes, useTheme } from './theme.ts'

const mainId = 'main'

export function Shell({ children }: { children: ReactNode }) {
  const [helpShown, setHelpShown] = useState(false)
  useKeys(() => setHelpShown(true))
  useFocusOnNewPage()
  return (
    <Page
      masthead={<Head onHelp={() => setHelpShown(true)} />}
      sidebar={<Side />}
      skipToContent={<SkipToContent href={`#${mainId}`}>Skip to content</SkipToContent>}
      isManagedSidebar
      isContentFilled
      mainContainerId={mainId}
      mainTabIndex={-1}
    >
      {children}
      {helpShown && <KeysHelp onClose={() => setHelpShown(false)} />}
    </Page>
  )
}

function Head({ onHelp }: { onHelp: () => void }) {
  return (
    <Masthead>
      <MastheadMain>
        <MastheadToggle>
          <PageToggleButton variant="plain" aria-label="Navigation" isHamburgerButton={false}>
            <BarsIcon />
          </PageToggleButton>
        </MastheadToggle>
        <MastheadBrand>
          <MastheadLogo component={props => <Link {...props} to="/" aria-label="Ferrite, overview" />}>
            <Brand src={logo} alt="" heights={{ default: '28px' }} />
            <span className="ferrite-name">Ferrite</span>
          </MastheadLogo>
        </MastheadBrand>
      </MastheadMain>
      <MastheadContent>
        <Toolbar isStatic>
          <ToolbarContent>
            <ToolbarItem className="ferrite-search">
              <Search />
            </ToolbarItem>
            <ToolbarGroup align={{ default: 'alignEnd' }} gap={{ default: 'gapSm' }} alignItems="center">
              <ToolbarItem>
                <Connection />
              </ToolbarItem>
              <ToolbarItem>
                <ThemeSwitch />
              </ToolbarItem>
              <ToolbarItem visibility={{ default: 'hidden', md: 'visible' }}>
                <Tooltip content="Keyboard shortcuts">
                  <Button variant="plain" aria-label="Keyboard shortcuts" icon={<KeyboardIcon />} onClick={onHelp} />
                </Tooltip>
              </ToolbarItem>
              <ToolbarItem>
                <User />
              </ToolbarItem>
            </ToolbarGroup>
          </ToolbarContent>
        </Toolbar>
      </MastheadContent>
    </Masthead>
  )
}

/** Leads to the table of nodes, narrowed to what was typed. */
function Search() {
  const navigate = useNavigate()
  const [text, setText] = useState('')
  return (
    <SearchInput
      aria-label="Search nodes"
      placeholder="Search nodes by name, UUID, state …"
      data-search
      value={text}
      onChange={(_, value) => setText(value)}
      onClear={() => setText('')}
      onSearch={() => {
        void navigate(`/nodes?q=${encodeURIComponent(text.trim())}`)
        setText('')
      }}
    />
  )
}

function Connection() {
  const connected = useConnected()
  const [late, setLate] = useState(false)
  useEffect(() => {
    if (connected) return setLate(false)
    // A stream that is opened anew within a moment is no news.
    const timer = setTimeout(() => setLate(true), 2000)
    return () => clearTimeout(timer)
  }, [connected])
  if (connected) {
    return (
      <Tooltip content="What happens is shown as it happens">
        <span className="ferrite-live" role="status">
          <span className="ferrite-live-dot" aria-hidden="true" />
          <span className="ferrite-live-word">Live</span>
        </span>
      </Tooltip>
    )
  }
  return (
    <span role="status">
      {late && (
        <Label color="orange" variant="outline" isCompact>
          Reconnecting …
        </Label>
      )}
    </span>
  )
}

const themeNames: Readonly<Record<Theme, string>> = { system: 'As the system', light: 'Light', dark: 'Dark' }

function ThemeSwitch() {
  const { chosen, isDark } = useTheme()
  const [open, setOpen] = useState(false)
  const icon = chosen === 'system' ? <AdjustIcon /> : isDark ? <MoonIcon /> : <SunIcon />
  return (
    <Dropdown
      isOpen={open}
      onOpenChange={setOpen}
      onSelect={() => setOpen(false)}
      popperProps={{ position: 'end' }}
      toggle={ref => (
        <MenuToggle
          ref={ref}
          variant="plain"
          aria-label={`Colours: ${themeNames[chosen]}`}
          isExpanded={open}
          onClick={() => setOpen(!open)}
          icon={icon}
        />
      )}
    >
      <DropdownList>
        {themes.map(theme => (
          <DropdownItem key={theme} isSelected={theme === chosen} onClick={() => chooseTheme(theme)}>
            {themeNames[theme]}
          </DropdownItem>
        ))}
      </DropdownList>
    </Dropdown>
  )
}

function User() {
  const state = useSession()
  const [open, setOpen] = useState(false)
  if (state.kind !== 'in') return null
  const { strategy, user, scope, roles } = state.session
  if (strategy === 'noauth') {
    return (
      <Tooltip content="The service asks nobody who they are: whoever reaches it may do everything. See docs/authentication.md.">
        <Label variant="outline" color="yellow" isCompact tabIndex={0}>
          Open access
        </Label>
      </Tooltip>
    )
  }
  return (
    <Dropdown
      isOpen={open}
      onOpenChange={setOpen}
      onSelect={() => setOpen(false)}
      popperProps={{ position: 'end' }}
      toggle={ref => (
        <MenuToggle ref={ref} variant="plainText" isExpanded={open} onClick={() => setOpen(!open)}>
          {user ?? 'Signed in'}
        </MenuToggle>
      )}
    >
      <DropdownList>
        {scope !== null && (
          <DropdownItem isDisabled description={roles.join(', ')}>
            {scope}
          </DropdownItem>
        )}
        <DropdownItem onClick={signOut}>Sign out</DropdownItem>
      </DropdownList>
    </Dropdown>
  )
}

function Side() {
  const { pathname } = useLocation()
  return (
    <PageSidebar>
      <PageSidebarBody>
        <Nav aria-label="Pages">
          {groups.map(group => {
            const shown = pages.filter(page => page.nav?.group === group)
            if (shown.length === 0) return null
            return (
              <NavGroup title={group} key={group}>
                {shown.map(({ path, nav }) => (
                  <NavItem key={path} isActive={isWithin(pathname, path)}>
                    <Link to={path}>{nav?.label}</Link>
                  </NavItem>
                ))}
              </NavGroup>
            )
          })}
        </Nav>
      </PageSidebarBody>
    </PageSidebar>
  )
}

function isWithin(pathname: string, path: string): boolean {
  return pathname === path || (path !== '/' && pathname.startsWith(`${path}/`))
}

/** A new page begins at its top, and who listens to the screen is taken there. */
function useFocusOnNewPage(): void {
  const { pathname } = useLocation()
  const shown = useRef(pathname)
  useEffect(() => {
    if (shown.current === pathname) return
    // Tabs of one page are paths, too, and keep where the user is.
    const isSamePage = pathname.split('/').slice(0, 3).join('/') === shown.current.split('/').slice(0, 3).join('/')
    shown.current = pathname
    if (isSamePage) return
    const main = document.getElementById(mainId)
    main?.focus({ preventScroll: true })
    main?.scrollTo(0, 0)
  }, [pathname])
}
