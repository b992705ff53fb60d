/** Major and minor number of a device. */
export type DeviceNumber = { readonly major: number; readonly minor: number }

/** Splits a header's rdev, the low 32 bits of st_rdev, as Linux does (format section 2.1). */
export function splitDevice(rdev: number): DeviceNumber {
  return {
    major: (rdev >>> 8) & 0xfff,
    minor: ((rdev & 0xff) | ((rdev >>> 12) & 0xfff00)) >>> 0,
  }
}

/** Joins device numbers to an rdev; undefined beyond 12 and 20 bits. */
export function findRdev({ major, minor }: DeviceNumber): number | undefined {
  if (major < 0 || major > 0xfff || minor < 0 || minor > 0xfffff) return undefined
  return (((minor & 0xfff00) << 12) | (major << 8) | (minor & 0xff)) >>> 0
}
