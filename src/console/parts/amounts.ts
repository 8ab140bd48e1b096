/** Amounts of data as people read them. */
const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** In binary units, as memory and images are told: "1.4 GiB". */
export function bytes(amount: number): string {
  const power = amount < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(amount) / 10))
  const value = amount / 1024 ** power
  return `${value >= 100 || power === 0 ? Math.round(value) : value.toFixed(1)} ${units[power]}`
}

/** In decimal units, as makers of disks tell them: "480 GB". */
export function diskSize(amount: number): string {
  return amount >= 1e12 ? `${(amount / 1e12).toFixed(2)} TB` : `${Math.round(amount / 1e9)} GB`
}

export function rate(bytesPerSecond: number): string {
  return `${bytes(bytesPerSecond)}/s`
}
