/**
 * USB devices, hubs left out, as the kernel lists them.
 *
 * Source: USB 2.0 (class 9 is a hub); openstack/ironic-python-agent `hardware.py` (keys; it asks lshw, whose handles these
 * are).
 */
import { readdir } from 'node:fs/promises'
import { readOrNull, trimmed } from '../hardware/sys-files.ts'

export interface UsbDevice {
  product: string
  vendor: string
  /** Bus and device: `USB:1:4`. */
  handle: string
}

export async function usbDevices(root = '/sys/bus/usb/devices'): Promise<UsbDevice[]> {
  // Names with a colon are interfaces of devices.
  const names = (await readdir(root).catch(() => [])).filter(name => !name.includes(':')).sort()
  const devices = await Promise.all(
    names.map(async name => {
      const read = async (file: string) => trimmed(await readOrNull(`${root}/${name}/${file}`)) ?? ''
      if ((await read('bDeviceClass')) === '09') return []
      const [product, vendor] = [await read('product'), await read('manufacturer')]
      return [
        {
          product: product || (await read('idProduct')),
          vendor: vendor || (await read('idVendor')),
          handle: `USB:${await read('busnum')}:${await read('devnum')}`,
        },
      ]
    }),
  )
  return devices.flat()
}
