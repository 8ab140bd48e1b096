/**
 * The ramdisk comes as one image. One that the BMC shows as virtual media is heard of when its ramdisk has the network; one
 * that the firmware fetches from a URL asks for an address first.
 */
import type { BootRecord } from '#protocol/boot.ts'
import type { BootSetting } from '../diagnosis.ts'
import { clockTime, type Diagnosis, isFirmware, lastTrouble, reached } from './words.ts'

const seeAddress = 'see whether the ramdisk gets an address: DHCP on its network, or network_data of the node'

export function ofMedia(record: BootRecord, { bmc }: BootSetting): Diagnosis | undefined {
  const ofFirmware = record.hops.some(({ hop, data }) => hop.startsWith('dhcp ') && isFirmware(data.client))
  const lost = lastTrouble(record, 'boot device lost')
  if (bmc?.hasMedia === false) {
    return {
      cause: 'media-ejected',
      summary: 'The machine was to boot from virtual media, and no medium is in its BMC any more',
      evidence: ['the BMC says that no virtual medium is inserted'],
      actions: [
        "see the BMC's event log: it lost the image's server, its session ended, or somebody took the medium out",
        'see that the BMC reaches the URL of the image ([deploy] http_url, or a share) all the while',
        'an image that is sent (vmedia_transport_protocol PUSH) is gone when its conductor restarts: start anew',
      ],
    }
  }
  if (ofFirmware || lost) {
    return {
      cause: 'wrong-boot-device',
      summary: 'The machine boots from something else than its virtual media',
      evidence: [
        ...(ofFirmware ? ['its firmware asked for an address, to boot from the network'] : []),
        ...(lost
          ? [`the BMC took the boot device, and told ${lost.found ?? 'none'} when it was asked afterwards`]
          : []),
      ],
      actions: ['the firmware did not keep, or did not obey, the boot device: see its boot mode and its boot order'],
    }
  }
  if (record.hops.length > 0) return undefined
  // Whether what is on the medium is signed is not known here.
  const isSecure = bmc?.firmware?.secureBoot === true
  return {
    cause: 'media-silent',
    summary: 'The medium is in place, but nothing was heard of the ramdisk on it',
    evidence: [...(isSecure ? ['the BMC says that secure boot is on'] : []), ...record.lastWords],
    actions: [
      ...(isSecure
        ? [
            'secure boot starts nothing that is not signed: use the kernel of a distribution, and its shim and GRUB in the ISO; or switch it off: PUT /v1/nodes/NODE/states/secure_boot',
          ]
        : []),
      'see the console: the firmware does not boot the ISO (boot mode, secure boot), or the kernel fails',
      seeAddress,
    ],
  }
}

/** @returns undefined where not even its firmware was heard of */
export function ofUrl(record: BootRecord): Diagnosis | undefined {
  if (reached(record, 'medium')) {
    return {
      cause: 'media-silent',
      summary: 'The firmware fetched the ISO, but nothing was heard of the ramdisk on it',
      evidence: [...record.lastWords],
      actions: [
        'see the console: the firmware has too little memory for the ISO, does not boot it (secure boot), or the kernel fails',
        seeAddress,
      ],
    }
  }
  const failed = lastTrouble(record, 'http failed')
  if (!failed && !record.hops.some(({ data }) => isFirmware(data.client))) return undefined
  return {
    cause: 'medium-not-fetched',
    summary: 'The firmware got an address, but never fetched the ISO from the URL that its BMC was told',
    evidence: failed ? [`at ${clockTime(failed.at)}: ${failed.path}, HTTP ${failed.status}`] : [],
    actions: [
      'see whether the firmware obeys HttpBootUri: HTTP boot has to be on in its settings, and plain HTTP allowed',
      'see that the machine reaches [deploy] http_url, or the external_http_url of driver_info',
    ],
  }
}
