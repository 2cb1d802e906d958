// SPDX-License-Identifier: MIT
/** Names of the DOM that valibot's types mention and this floor never uses. Not emitted. */
interface Blob {
  readonly size: number;
}
interface File extends Blob {
  readonly name: string;
}
