// SPDX-License-Identifier: MIT
/** Entries of the PRI queue, written and read (IHI 0070 §8). */
import { hex, hex64 } from "../../bits/hex.ts";
import { checkWords } from "../../checks.ts";
import { type PageGroupResponse, type PageRequest, PageResponse } from "../../memory/ats.ts";
import { PAGE_REQUEST_WORDS } from "../spec/page-request.ts";

const PRIV = 1 << 26;
const EXECUTE = 1 << 27;
const READ = 1 << 28;
const WRITE = 1 << 29;
const LAST = 1 << 30;
const SSV = 1 << 31;
const SUBSTREAM = 0xf_ffff;
const GROUP = 0x1ff;
const PAGE_LOW = 0xffff_f000;

/** A page request as an entry has it. */
export interface DecodedPageRequest extends PageRequest {
  readonly streamId: number;
  /** It is no request but the Stop Marker: the function has no more requests with this PASID, and no response is due. */
  readonly stopMarker: boolean;
}

/** L = 1 and R = W = 0 with a PASID; without one this is an ordinary request. */
export function isStopMarker({ substreamId, last, read, write }: PageRequest): boolean {
  return substreamId >= 0 && last && !read && !write;
}

/**
 * Writes a request into an entry. Without a PASID there is no X and no Priv, and SubstreamID, which is UNKNOWN, is 0.
 * @param words the entry, 4 words
 */
export function encodePageRequest(words: Uint32Array, streamId: number, request: PageRequest): void {
  const { substreamId, addressHi, addressLo, groupIndex } = request;
  const pasid = substreamId >= 0;
  let high = 0;
  if (pasid) high |= SSV | substreamId | (request.privileged ? PRIV : 0) | (request.execute ? EXECUTE : 0);
  if (request.read) high |= READ;
  if (request.write) high |= WRITE;
  if (request.last) high |= LAST;
  words[0] = streamId;
  words[1] = high;
  words[2] = (addressLo & PAGE_LOW) | (groupIndex & GROUP);
  words[3] = addressHi;
}

/** @param words the entry, 4 words @throws HostMisuseError for another number of words */
export function decodePageRequest(words: Uint32Array | readonly number[]): DecodedPageRequest {
  checkWords("a page request", words, PAGE_REQUEST_WORDS);
  const high = words[1]!;
  const request = {
    substreamId: (high & SSV) === 0 ? -1 : high & SUBSTREAM,
    addressHi: words[3]! >>> 0,
    addressLo: (words[2]! & PAGE_LOW) >>> 0,
    read: (high & READ) !== 0,
    write: (high & WRITE) !== 0,
    execute: (high & EXECUTE) !== 0,
    privileged: (high & PRIV) !== 0,
    last: (high & LAST) !== 0,
    groupIndex: words[2]! & GROUP,
  };
  return { streamId: words[0]! >>> 0, ...request, stopMarker: isStopMarker(request) };
}

function* wanted({ read, write, execute, privileged }: PageRequest): Generator<string> {
  if (read) yield "read";
  if (write) yield "write";
  if (execute) yield "execute";
  if (!read && !write && !execute) yield "no access";
  if (privileged) yield "privileged";
}

/**
 * One line of text: who asks for which page, and to do what.
 * @param words the entry, 4 words
 * @throws HostMisuseError for another number of words
 */
export function describePageRequest(words: Uint32Array | readonly number[]): string {
  const request = decodePageRequest(words);
  const { streamId, substreamId, groupIndex, last, addressHi, addressLo, stopMarker } = request;
  const parts = [`StreamID ${hex(streamId)}`];
  if (substreamId >= 0) parts.push(`SubstreamID ${hex(substreamId)}`);
  if (stopMarker) return `Stop Marker: ${parts.join(", ")}`;
  parts.push(`group ${hex(groupIndex)}${last ? ", the last of it" : ""}`, `address ${hex64(addressHi, addressLo)}`, ...wanted(request));
  return `page request: ${parts.join(", ")}`;
}

const CODES: Readonly<Record<PageResponse, string>> = {
  [PageResponse.success]: "Success",
  [PageResponse.invalidRequest]: "Invalid Request",
  [PageResponse.failure]: "Response Failure",
};

/** One line of text: which function hears what about which group. */
export function describePageResponse(streamId: number, { substreamId, groupIndex, code }: PageGroupResponse): string {
  const pasid = substreamId >= 0 ? `SubstreamID ${hex(substreamId)}, ` : "";
  return `${CODES[code]} to StreamID ${hex(streamId)}, ${pasid}group ${hex(groupIndex)}`;
}
