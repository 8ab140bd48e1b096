/** Taking machines in: a form for one whose BMC is known, and the inbox of those that announced themselves. */
import { Button, PageSection, Tab, Tabs, TabTitleText, Title } from '@patternfly/react-core'
import { useState } from 'react'
import { EnrolForm } from './enrol/enrol-form.tsx'
import { Inbox } from './enrol/inbox.tsx'

export default function Enrol() {
  const [tab, setTab] = useState<string | number>('form')
  const [mac, setMac] = useState<string>()
  return (
    <PageSection isFilled>
      <div className="ferrite-heading">
        <Title headingLevel="h1">Enrol</Title>
        <p className="ferrite-subtle">
          A machine becomes a node by the address and password of its BMC; what it is made of, inspection finds out.
        </p>
      </div>
      <Tabs activeKey={tab} onSelect={(_, key) => setTab(key)} aria-label="Ways to enrol">
        <Tab eventKey="form" title={<TabTitleText>A machine</TabTitleText>} className="ferrite-tab">
          <EnrolForm key={mac} mac={mac} />
        </Tab>
        <Tab eventKey="inbox" title={<TabTitleText>Discovery inbox</TabTitleText>} className="ferrite-tab">
          <Inbox
            enrol={address => (
              <Button
                variant="link"
                isInline
                onClick={() => {
                  setMac(address)
                  setTab('form')
                }}
              >
                Enrol it
              </Button>
            )}
          />
        </Tab>
      </Tabs>
    </PageSection>
  )
}
