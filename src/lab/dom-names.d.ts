// SPDX-License-Identifier: MIT
/** Names of the DOM that the types of valibot and typed-array-utils mention. Not emitted. */
interface Blob {
  readonly size: number;
}
interface File extends Blob {
  readonly name: string;
}
type BufferSource = ArrayBufferView | ArrayBuffer;
