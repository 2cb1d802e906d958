// SPDX-License-Identifier: MIT
/**
 * Address Translation Services between the SMMU and the PCI functions of a machine: each function's way to memory knows the SMMU as
 * its translation agent, and what the SMMU sends to a StreamID goes to the function whose requests have it.
 */
import {
  type AtsFunction,
  type InvalidateEnd,
  type InvalidateRequest,
  type PageGroupResponse,
  type RootComplex,
  type Smmu,
  SmmuDmaPort,
  type SmmuDmaPortOptions,
  type TranslationAgent,
} from "../../hw/index.ts";
import type { MachineSpec } from "../scenario/types.ts";
import { pciPlaces } from "./device-tree.ts";

/** The door of a function that asks for translations. */
export class AtsDmaPort extends SmmuDmaPort {
  readonly agent: TranslationAgent;

  constructor(options: SmmuDmaPortOptions, agent: TranslationAgent) {
    super(options);
    this.agent = agent;
  }
}

/** The SMMU as the functions of one StreamID see it. */
export function agentOf(smmu: Smmu, streamId: number): TranslationAgent {
  return {
    requestTranslation: (request) => smmu.requestTranslation(streamId, request),
    requestPage: (request) => smmu.requestPage(streamId, request),
  };
}

/** True if a function of the machine has ATS. */
export function hasAts(machine: MachineSpec): boolean {
  return machine.devices.some(({ bus, ats }) => bus === "pci" && ats === true);
}

/** What an SMMU with ATS and PRI needs of its host. */
export interface AtsHost {
  invalidateAtc(streamId: number, request: InvalidateRequest, ended: (how: InvalidateEnd) => void): void;
  respondToPageRequest(streamId: number, response: PageGroupResponse): void;
}

/** @param rootComplex asked when something is sent */
export function atsHost(machine: MachineSpec, rootComplex: () => RootComplex | undefined): AtsHost {
  const functionOf = (streamId: number): AtsFunction | undefined => {
    const device = machine.devices.find((other) => other.bus === "pci" && other.streamId === streamId);
    const place = pciPlaces(machine).find(({ name }) => name === device?.name);
    // The inverse of the host bridge's iommu-map: an id that it leaves out comes as itself.
    return rootComplex()?.atsFunction(place === undefined ? streamId & 0xffff : place.busNo << 8);
  };
  return {
    invalidateAtc: (streamId, request, ended) => {
      const target = functionOf(streamId);
      if (target === undefined) ended("unsupported-request");
      else target.invalidate(request, ended);
    },
    respondToPageRequest: (streamId, response) => functionOf(streamId)?.respond(response),
  };
}
