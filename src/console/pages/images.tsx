/** The images in the store of the host that answers: what they are, what room they take, which are in use. */
import { Label, Progress, ProgressMeasureLocation } from '@patternfly/react-core'
import { useQuery } from '@tanstack/react-query'
import { get } from '../api.ts'
import { bytes } from '../parts/amounts.ts'
import { Facts } from '../parts/facts.tsx'
import { ListPage } from '../parts/list-page.tsx'
import { duration, moment, useNow } from '../parts/time.ts'

interface StoredImage {
  readonly id: string
  readonly source: string
  readonly format: string | null
  readonly size_bytes: number
  readonly stored_bytes: number
  readonly chunked: boolean
  readonly in_use: boolean
  readonly used_at: string
}

interface Store {
  readonly host: string
  readonly limit_bytes: number
  readonly images: readonly StoredImage[]
}

export default function Images() {
  const nowMs = useNow(10_000)
  const query = useQuery({
    queryKey: ['images'],
    queryFn: ({ signal }) => get<Store>('/v1/images', { signal }),
    refetchInterval: 10_000,
  })
  const store = query.data
  return (
    <ListPage
      title="Images and cache"
      about="Images that this service fetches for the machines are kept here: fetched, checked and converted once, however many nodes ask."
      what="list the stored images"
      query={{ data: store?.images, error: query.error, refetch: () => query.refetch() }}
      keyOf={({ id }) => id}
      empty="Nothing is stored. Images that the machines fetch by themselves never come here."
      above={store && <Room store={store} />}
      columns={[
        { label: 'Source', text: ({ source }) => source },
        { label: 'Format', text: ({ format }) => format ?? '' },
        { label: 'Size', text: one => one.size_bytes, shown: one => bytes(one.size_bytes) },
        { label: 'Room', text: one => one.stored_bytes, shown: one => bytes(one.stored_bytes) },
        {
          label: 'Use',
          text: one => (one.in_use ? 'in use' : 'kept'),
          shown: one => (
            <Label isCompact color={one.in_use ? 'blue' : 'grey'}>
              {one.in_use ? 'in use' : 'kept'}
            </Label>
          ),
        },
        {
          label: 'Last used',
          text: one => one.used_at,
          shown: one => `${duration(nowMs - Date.parse(one.used_at))} ago`,
        },
      ]}
      details={one => (
        <Facts
          facts={[
            ['SHA-256 of the source', <code key="id">{one.id.slice(0, 64)}</code>],
            ['Done to it', one.id.slice(64).split('.').filter(Boolean).join(', ') || 'nothing'],
            ['In pieces for agents of Ferrite’s', one.chunked ? 'yes' : 'no'],
            ['Last used', moment(one.used_at)],
          ]}
        />
      )}
    />
  )
}

function Room({ store: { host, limit_bytes, images } }: { store: Store }) {
  const used = images.reduce((sum, one) => sum + one.stored_bytes, 0)
  return (
    <Progress
      title={`Room on ${host}`}
      value={Math.min(100, (used / Math.max(1, limit_bytes)) * 100)}
      label={`${bytes(used)} of ${bytes(limit_bytes)}`}
      valueText={`${bytes(used)} of ${bytes(limit_bytes)}`}
      measureLocation={ProgressMeasureLocation.top}
      {...(used > limit_bytes ? { variant: 'warning' as const } : {})}
    />
  )
}
