// SPDX-License-Identifier: MIT
/**
 * Messages of PCI Express Address Translation Services: between a function that keeps translations and asks for pages, and the
 * translation agent above it (an SMMU). Who routes them (a root complex) is the machine's business, as with DMA.
 *
 * Addresses are two unsigned 32-bit halves. A SubstreamID is a PASID; -1: none.
 */

/** Status of a completion. */
export const AtsStatus = { success: 0, unsupportedRequest: 1, completerAbort: 4 } as const;
export type AtsStatus = (typeof AtsStatus)[keyof typeof AtsStatus];

/** A Translation Request for one address. */
export interface TranslationRequest {
  readonly substreamId: number;
  readonly addressHi: number;
  /** The low 12 bits are 0. */
  readonly addressLo: number;
  /** NW: permission to write is not asked for. */
  readonly noWrite: boolean;
  /** Of the PASID prefix: may be 1 only with a SubstreamID. */
  readonly execute: boolean;
  readonly privileged: boolean;
}

/** The Translation Completion. With R = W = 0 there is no translation. */
export interface TranslationCompletion {
  readonly status: AtsStatus;
  readonly translatedHi: number;
  readonly translatedLo: number;
  /** log2 of the bytes from the address, aligned to it, that the translation is good for: 12 … 63. */
  readonly sizeLog2: number;
  readonly read: boolean;
  readonly write: boolean;
  readonly execute: boolean;
  readonly privileged: boolean;
  /** Good for every PASID. */
  readonly global: boolean;
  /** U: the range must be accessed with untranslated addresses. */
  readonly untranslatedOnly: boolean;
}

/** An Invalidate Request: what it covers must not be used once it is completed. */
export interface InvalidateRequest {
  readonly substreamId: number;
  /** Of every PASID. */
  readonly global: boolean;
  readonly addressHi: number;
  readonly addressLo: number;
  /** log2 of the bytes, aligned: 12 … 64. */
  readonly sizeLog2: number;
}

/** How an Invalidate Request ended: completed, refused with UR, or no completion came in time. */
export type InvalidateEnd = "completed" | "unsupported-request" | "timeout";

/** A Page Request Message; L = 1 and R = W = 0 is the Stop Marker, with a SubstreamID. */
export interface PageRequest {
  readonly substreamId: number;
  readonly addressHi: number;
  /** The low 12 bits are 0. */
  readonly addressLo: number;
  readonly read: boolean;
  readonly write: boolean;
  readonly execute: boolean;
  readonly privileged: boolean;
  /** L: the last of its group. */
  readonly last: boolean;
  /** 9 bits. */
  readonly groupIndex: number;
}

/** Response codes of a PRG Response Message. */
export const PageResponse = { success: 0b0000, invalidRequest: 0b0001, failure: 0b1111 } as const;
export type PageResponse = (typeof PageResponse)[keyof typeof PageResponse];

/** A PRG Response Message. */
export interface PageGroupResponse {
  /** -1: the response has no PASID. */
  readonly substreamId: number;
  readonly groupIndex: number;
  readonly code: PageResponse;
}

/** The translation agent, as one function reaches it. */
export interface TranslationAgent {
  requestTranslation(request: TranslationRequest): TranslationCompletion;
  /** Posted: the answer, if there is one, comes to {@link AtsFunction.respond}. */
  requestPage(request: PageRequest): void;
}

/** A function, as the translation agent reaches it. */
export interface AtsFunction {
  /** @param ended called once, at once or later */
  invalidate(request: InvalidateRequest, ended: (how: InvalidateEnd) => void): void;
  respond(response: PageGroupResponse): void;
}
