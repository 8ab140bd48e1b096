/** The disks, and which of them an image would be written to, and why that one. */
import { Alert, Label } from '@patternfly/react-core'
import { Table, Tbody, Td, Th, Thead, Tr } from '@patternfly/react-table'
import { diskSize } from '../../parts/amounts.ts'
import { Asked } from '../../parts/asked.tsx'
import { rootDisk } from '../../root-disk.ts'
import type { TabProps } from '../node.tsx'
import { useInventory } from './inventory-data.ts'
import { NotInspected } from './not-inspected.tsx'

export default function Disks({ node }: TabProps) {
  const query = useInventory(node)
  return (
    <Asked query={query} what="read the inventory">
      {found => {
        if (!found) return <NotInspected />
        const { verdicts, hints, from, problem } = rootDisk(node, found.inventory.disks ?? [])
        const chosen = verdicts.find(verdict => verdict.isChosen)
        return (
          <>
            <Alert
              isInline
              variant={problem === undefined ? 'info' : 'warning'}
              title={
                chosen
                  ? `A deployment writes to ${chosen.disk.name}, serial ${chosen.disk.serial ?? 'unknown'}`
                  : 'It cannot be told which disk a deployment writes to'
              }
            >
              {problem ?? chosen?.reason}.{' '}
              {from !== null && (
                <>
                  Hints of <code>{from}</code>: <code>{JSON.stringify(hints)}</code>.
                </>
              )}{' '}
              Told by the disks of the last inspection; the agent looks again before it writes.
            </Alert>
            <Table variant="compact" aria-label="Disks" className="ferrite-gap-above">
              <Thead>
                <Tr>
                  <Th>Disk</Th>
                  <Th>Size</Th>
                  <Th>Model</Th>
                  <Th>Serial</Th>
                  <Th>WWN</Th>
                  <Th>Kind</Th>
                  <Th width={30}>Verdict</Th>
                </Tr>
              </Thead>
              <Tbody>
                {verdicts.map(({ disk, isChosen, hints: tried, reason }) => (
                  <Tr key={disk.name} isRowSelected={isChosen}>
                    <Td dataLabel="Disk">
                      {disk.name}{' '}
                      {isChosen && (
                        <Label isCompact color="blue">
                          written to
                        </Label>
                      )}
                    </Td>
                    <Td dataLabel="Size" modifier="nowrap">
                      {diskSize(disk.size)}
                    </Td>
                    <Td dataLabel="Model">{[disk.vendor, disk.model].filter(Boolean).join(' ') || '–'}</Td>
                    <Td dataLabel="Serial">{disk.serial ?? '–'}</Td>
                    <Td dataLabel="WWN">{disk.wwn ?? '–'}</Td>
                    <Td dataLabel="Kind" modifier="nowrap">
                      {[disk.tran, disk.rotational ? 'rotational' : 'solid state'].filter(Boolean).join(', ')}
                    </Td>
                    <Td dataLabel="Verdict">
                      {reason}
                      {tried.map(hint => (
                        <div key={hint.name} className="ferrite-small">
                          {hint.holds ? '✓' : '✗'} {hint.name} = {String(hint.wanted)}
                        </div>
                      ))}
                    </Td>
                  </Tr>
                ))}
              </Tbody>
            </Table>
          </>
        )
      }}
    </Asked>
  )
}
