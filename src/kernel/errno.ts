// SPDX-License-Identifier: GPL-2.0-only
/**
 * Error numbers as Linux 7.1 counts them: include/uapi/asm-generic/errno-base.h, include/uapi/asm-generic/errno.h and
 * include/linux/errno.h. Functions return 0 or a positive value for success and `-errno` for failure. Left out: those without a user.
 */

export const EPERM = 1;
export const ENOENT = 2;
export const EIO = 5;
export const ENXIO = 6;
export const E2BIG = 7;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EACCES = 13;
export const EFAULT = 14;
export const EBUSY = 16;
export const EEXIST = 17;
export const ENODEV = 19;
export const EINVAL = 22;
export const ENOTTY = 25;
export const ENOSPC = 28;
export const ERANGE = 34;
export const EOVERFLOW = 75;
export const EOPNOTSUPP = 95;
export const EADDRNOTAVAIL = 99;
export const ESHUTDOWN = 108;
export const ETIMEDOUT = 110;
export const EINPROGRESS = 115;
/** Internal to the kernel: a resource the driver needs is not there yet; try again after something else was bound. */
export const EPROBE_DEFER = 517;

const names: ReadonlyMap<number, string> = new Map([
  [EPERM, "EPERM"],
  [ENOENT, "ENOENT"],
  [EIO, "EIO"],
  [ENXIO, "ENXIO"],
  [E2BIG, "E2BIG"],
  [EAGAIN, "EAGAIN"],
  [ENOMEM, "ENOMEM"],
  [EACCES, "EACCES"],
  [EFAULT, "EFAULT"],
  [EBUSY, "EBUSY"],
  [EEXIST, "EEXIST"],
  [ENODEV, "ENODEV"],
  [EINVAL, "EINVAL"],
  [ENOTTY, "ENOTTY"],
  [ENOSPC, "ENOSPC"],
  [ERANGE, "ERANGE"],
  [EOVERFLOW, "EOVERFLOW"],
  [EOPNOTSUPP, "EOPNOTSUPP"],
  [EADDRNOTAVAIL, "EADDRNOTAVAIL"],
  [ESHUTDOWN, "ESHUTDOWN"],
  [ETIMEDOUT, "ETIMEDOUT"],
  [EINPROGRESS, "EINPROGRESS"],
  [EPROBE_DEFER, "EPROBE_DEFER"],
]);

/** The name of an error for people: `-19` gives `-ENODEV`; an unknown number is given as such. */
export function errname(error: number): string {
  const name = names.get(Math.abs(error));
  if (name === undefined) return String(error);
  return error < 0 ? `-${name}` : name;
}
