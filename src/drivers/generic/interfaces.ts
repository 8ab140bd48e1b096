/**
 * The implementations that fit any hardware, in Ironic's order of preference; hardware types put their own before them.
 * Source: ironic/drivers/generic.py (behaviour).
 */
import type { HardwareType } from '../driver.ts'

export const generic = {
  bios: { 'no-bios': () => import('./no-bios.ts') },
  boot: {
    ipxe: () => import('#boot/ipxe.ts'),
    pxe: () => import('#boot/pxe.ts'),
    'http-ipxe': () => import('#boot/http-ipxe.ts'),
    http: () => import('#boot/http.ts'),
  },
  console: { 'no-console': () => import('./no-console.ts') },
  deploy: {
    autodetect: () => import('./autodetect-deploy.ts'),
    direct: () => import('../agent/direct.ts'),
    ramdisk: () => import('../agent/ramdisk-deploy.ts'),
    bootc: () => import('../agent/bootc-deploy.ts'),
    'custom-agent': () => import('../agent/custom-deploy.ts'),
    ansible: () => import('../ansible/ansible.ts'),
    anaconda: () => import('../anaconda/anaconda.ts'),
  },
  firmware: { 'no-firmware': () => import('./no-firmware.ts') },
  inspect: { agent: () => import('../agent/inspect.ts'), 'no-inspect': () => import('./no-inspect.ts') },
  management: { noop: () => import('./noop-management.ts') },
  network: {
    flat: () => import('../neutron/flat-network.ts'),
    neutron: () => import('../neutron/network.ts'),
    noop: () => import('./noop-network.ts'),
  },
  raid: { 'no-raid': () => import('./no-raid.ts'), agent: () => import('../agent/raid.ts') },
  rescue: { agent: () => import('../agent/rescue.ts'), 'no-rescue': () => import('./no-rescue.ts') },
  storage: { noop: () => import('./noop-storage.ts'), external: () => import('./external-storage.ts') },
  vendor: { 'no-vendor': () => import('./no-vendor.ts') },
} satisfies Partial<HardwareType['interfaces']>
