/**
 * Records that describe a BMC's sensors, and what a raw reading means by them. Nothing is asked here.
 *
 * Source: IPMI v2.0 rev 1.1, 43.1 "SDR type 01h", 43.2 "SDR type 02h", 43.15 "Type/length byte", 36.3 "Sensor reading
 * conversion formula", 36.4 "Non-linear sensors".
 */

export interface SensorRecord {
  owner: number
  lun: number
  number: number
  name: string
  /** Table 42-3: 1 temperature, 4 fan, 8 power supply … */
  type: number
  /** What its states mean: 1 thresholds, 6Fh by its type. */
  eventType: number
  entity: { id: number; instance: number }
  /** How to read it; null: it has states alone. */
  analog: Analog | null
}

export interface Analog {
  format: 'unsigned' | "one's complement" | "two's complement"
  /** Table 43-15: 1 degrees Celsius, 18 RPM … */
  unit: number
  isPercentage: boolean
  /** 0 linear; 70h and above: the factors differ from reading to reading. */
  linearization: number
  factors: Factors
}

/** reading = (m × raw + b × 10^bExponent) × 10^rExponent */
export interface Factors {
  m: number
  b: number
  bExponent: number
  rExponent: number
}

const fullRecord = 0x01
const compactRecord = 0x02
/** What comes before the length and with it. */
export const headerBytes = 5

/** Undefined for records of other kinds, and for what is too short to be one. */
export function decodeSensorRecord(record: Buffer): SensorRecord | undefined {
  const kind = record[3]
  const [shortest, nameAt] = kind === fullRecord ? [48, 47] : kind === compactRecord ? [32, 31] : [0, 0]
  if (nameAt === 0 || record.length < shortest) return undefined
  const at = (index: number) => record[index] ?? 0
  return {
    owner: at(5),
    lun: at(6) & 3,
    number: at(7),
    name: nameOf(record.subarray(nameAt)) || `sensor ${at(7)}`,
    type: at(12),
    eventType: at(13),
    entity: { id: at(8), instance: at(9) & 0x7f },
    analog: kind === fullRecord ? analogOf(record) : null,
  }
}

function analogOf(record: Buffer): Analog | null {
  const [units = 0, unit = 0] = record.subarray(20)
  const formats = ['unsigned', "one's complement", "two's complement"] as const
  const format = formats[units >> 6]
  if (format === undefined) return null
  return {
    format,
    unit,
    isPercentage: (units & 1) !== 0,
    linearization: (record[23] ?? 0) & 0x7f,
    factors: decodeFactors(record.subarray(24, 30)),
  }
}

/** Six bytes: of a record, or what "Get Sensor Reading Factors" tells after its first byte. */
export function decodeFactors(bytes: Buffer): Factors {
  const [m = 0, mHigh = 0, b = 0, bHigh = 0, , exponents = 0] = bytes
  return {
    m: signed(m | ((mHigh & 0xc0) << 2), 10),
    b: signed(b | ((bHigh & 0xc0) << 2), 10),
    bExponent: signed(exponents & 0x0f, 4),
    rExponent: signed(exponents >> 4, 4),
  }
}

export const isNonLinear = ({ linearization }: Analog): boolean => linearization >= 0x70

/** The formulas after the straight line, by number. */
const curves: readonly ((y: number) => number)[] = [
  y => y,
  Math.log,
  Math.log10,
  Math.log2,
  Math.exp,
  y => 10 ** y,
  y => 2 ** y,
  y => 1 / y,
  y => y ** 2,
  y => y ** 3,
  Math.sqrt,
  Math.cbrt,
]

/** Undefined where nothing comes of it: an unknown formula, a division by zero. */
export function readingOf(analog: Analog, raw: number, factors: Factors = analog.factors): number | undefined {
  const { m, b, bExponent, rExponent } = factors
  const value = analog.format === 'unsigned' ? raw : analog.format === "two's complement" ? signed(raw, 8) : ones(raw)
  const curve = isNonLinear(analog) ? curves[0] : curves[analog.linearization]
  const reading = curve?.((m * value + b * 10 ** bExponent) * 10 ** rExponent)
  // Powers of ten leave digits behind that were never measured.
  return reading !== undefined && Number.isFinite(reading) ? Number(reading.toPrecision(10)) : undefined
}

function signed(value: number, bits: number): number {
  return value & (1 << (bits - 1)) ? value - (1 << bits) : value
}

function ones(raw: number): number {
  return raw & 0x80 ? -(~raw & 0xff) : raw
}

/** A type and length, then the text: in ASCII, in packed ASCII of six bits, in decimal digits, or in UTF-16. */
function nameOf(bytes: Buffer): string {
  const [head = 0] = bytes
  const text = bytes.subarray(1, 1 + (head & 0x1f))
  switch (head >> 6) {
    case 0:
      return clean(text.toString('utf16le'))
    case 1:
      return clean([...text].map(byte => decimalDigits[byte >> 4] + (decimalDigits[byte & 0x0f] ?? '')).join(''))
    case 2:
      return clean(sixBits(text))
    default:
      return clean(text.toString('latin1'))
  }
}

const decimalDigits = '0123456789 -.   '

/** Four characters in three bytes, the lowest bits first. */
function sixBits(bytes: Buffer): string {
  const count = Math.floor((bytes.length * 8) / 6)
  const characters = Array.from({ length: count }, (_, index) => {
    const bit = index * 6
    const both = (bytes[bit >> 3] ?? 0) | ((bytes[(bit >> 3) + 1] ?? 0) << 8)
    return String.fromCharCode(0x20 + ((both >> (bit & 7)) & 0x3f))
  })
  return characters.join('')
}

/** A name is shown and stored: no control characters, no blanks at its ends. */
function clean(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '').trim()
}
