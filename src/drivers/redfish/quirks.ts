/**
 * What vendors' firmware wants differently, as data. An entry is a fact with where it was seen; code asks for the
 * behaviour and never for the vendor.
 */
export interface Quirks {
  /** A boot override must name mode, enabled and target in one request, or it is refused. */
  wholeBootOverride: boolean
  /** An override that equals the present one must be sent all the same, else it is not armed again. */
  alwaysSendBootOverride: boolean
}

interface Entry {
  vendor: RegExp
  quirks: Partial<Quirks>
  /** Where the behaviour is documented. */
  evidence: string
}

const none: Quirks = { wholeBootOverride: false, alwaysSendBootOverride: false }

const entries: readonly Entry[] = [
  {
    vendor: /^supermicro/i,
    quirks: { alwaysSendBootOverride: true },
    evidence: 'ironic/drivers/modules/redfish/management.py: always set the boot device on Supermicro',
  },
  {
    vendor: /^(ami|american megatrends|asrockrack|redfish_compatible)\b/i,
    quirks: { wholeBootOverride: true },
    evidence: 'sushy: boot mode, enabled and target in one PATCH for AMI-based firmware',
  },
]

export function quirksOf(vendor: string | null | undefined): Quirks {
  const matching = entries.filter(entry => entry.vendor.test(vendor ?? ''))
  return Object.assign({}, none, ...matching.map(entry => entry.quirks))
}
