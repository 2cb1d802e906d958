// SPDX-License-Identifier: MIT
/** The command line, in the spellings of libqtest and of people. */
import { describe, expect, test } from "vitest";
import { DEFAULT_PROFILE, Machine, parseQemuOptions, profileNames } from "../../../src/interop/index.ts";
import { caseArguments } from "./smmuv3-sequence.ts";

const words = (line: string): string[] => line.split(" ");
const QTEST = ["-qtest", "unix:/tmp/qtest-1.sock"];

describe("what libqtest passes", () => {
  const common = "-qtest unix:/tmp/qtest-7.sock -qtest-log /dev/null -chardev socket,path=/tmp/qtest-7.qmp,id=char0";

  test("release 11.1: a monitor object, repeated blanks, options that mean nothing here", () => {
    const line = `${common} -object monitor-qmp,id=qmp0,chardev=char0 -display none -audio none -run-with exit-with-parent=on ${caseArguments.join(" ")}  -accel qtest`;
    const options = parseQemuOptions(words(line));
    expect(options.qtest).toEqual({ path: "/tmp/qtest-7.sock" });
    expect(options.qtestLog).toBe("/dev/null");
    expect(options.monitors).toEqual(["/tmp/qtest-7.qmp"]);
    expect(options.machine.kind).toBe("virt");
    expect(options.machine.ramSize).toBe(512 * 2 ** 20);
    expect(options.machine.smmu?.name).toBe(DEFAULT_PROFILE);
    expect(options.machine.devices.map(({ model }) => model)).toEqual(["iommu-testdev"]);
  });

  test("release 11.0: -trace first, -mon instead of the object", () => {
    const options = parseQemuOptions(
      words(`-trace smmu* ${common} -mon chardev=char0,mode=control -display none -machine none -accel qtest`),
    );
    expect(options.monitors).toEqual(["/tmp/qtest-7.qmp"]);
    expect(options.machine.kind).toBe("none");
  });
});

describe("spellings", () => {
  const machine = (line: string): ReturnType<typeof parseQemuOptions>["machine"] => parseQemuOptions([...QTEST, ...words(line)]).machine;

  test("of repeated -machine the later value of a key counts", () => {
    expect(machine("-machine virt,iommu=smmuv3 -machine x-smmu-profile=tiny").smmu?.name).toBe("tiny");
    expect(machine("-machine virt,x-smmu-profile=tiny").smmu?.name).toBe("tiny");
    expect(machine("-M virt,iommu=smmuv3 -machine virt,iommu=none").smmu).toBeUndefined();
  });

  test("-machine virt alone has no SMMU, as in QEMU; without -machine there is the default one", () => {
    expect(machine("-machine virt").smmu).toBeUndefined();
    expect(machine("-m 64").smmu?.name).toBe(DEFAULT_PROFILE);
  });

  test("each profile makes a machine that acknowledges at once", () => {
    for (const name of profileNames) {
      const request = machine(`-machine virt-9.2,iommu=smmuv3,x-smmu-profile=${name}`);
      expect(request.smmu?.timing).toMatchObject({ commandNs: 0, updateNs: 0 });
      expect(new Machine(request).find("smmuv3")?.properties["x-smmu-profile"]).toBe(name);
    }
  });

  test.each([
    ["64", 64 * 2 ** 20],
    ["64M", 64 * 2 ** 20],
    ["2G", 2 ** 31],
    ["8192k", 2 ** 23],
    ["size=1G,slots=2,maxmem=4G", 2 ** 30],
  ])("-m %s", (size, bytes) => {
    expect(machine(`-m ${size}`).ramSize).toBe(bytes);
  });

  test("-device edu takes dma_mask and addr, in hexadecimal; id and bus mean nothing here", () => {
    expect(machine("-device edu,id=e0,bus=pcie.0,dma_mask=0xffffffffffff,addr=0x3.1").devices).toEqual([
      { model: "edu", devfn: 0x19, dmaMask: 0xffff_ffff_ffffn },
    ]);
  });

  test("a comma in a path is written twice; a path may hold an equals sign", () => {
    const options = parseQemuOptions(["--qtest", "unix:/tmp/a,,b=c,server=off", "-qmp", "unix:/tmp/m", "-qtest-log", "none"]);
    expect(options.qtest).toEqual({ path: "/tmp/a,b=c" });
    expect(options.monitors).toEqual(["/tmp/m"]);
    expect(options.qtestLog).toBeUndefined();
  });

  test("unknown options go with their values", () => {
    expect(machine("-nographic -S -netdev user,id=n0 -smp 4 -device edu -no-reboot").devices).toHaveLength(1);
  });

  test("--help and --version need no socket", () => {
    for (const option of ["-h", "-help", "--help"]) expect(parseQemuOptions([option]).help).toBe(true);
    expect(parseQemuOptions(["--version"]).version).toBe(true);
  });
});

describe("bad values end in one line that names them", () => {
  test.each([
    ["-machine virt", /no qtest socket/],
    ["-qtest tcp:localhost:1", /-qtest tcp:localhost:1/],
    ["-qtest unix:", /path is missing/],
    ["-qtest unix:/tmp/a,server=on", /does not listen/],
    ["-qtest", /-qtest needs a value/],
    ["-qtest stdio stray", /unexpected argument 'stray'/],
    ["-qtest stdio -machine pc", /pc: not a machine/],
    ["-qtest stdio -machine virt,iommu=vtd", /iommu=vtd/],
    ["-qtest stdio -machine virt,iommu=smmuv3,x-smmu-profile=huge", /profile=huge: not a profile; there are .*tiny/],
    ["-qtest stdio -machine virt,x-smmu-profile=toString,iommu=smmuv3", /not a profile/],
    ["-qtest stdio -machine virt,iommu=none,x-smmu-profile=tiny", /a profile needs iommu=smmuv3/],
    ["-qtest stdio -machine virt,x-smmu-profile=bogus", /profile=bogus: not a profile; there are .*tiny/],
    ["-qtest stdio -m lots", /-m lots: not a size/],
    ["-qtest stdio -m 0", /-m 0/],
    ["-qtest stdio -m 1024G", /-m 1024G/],
    ["-qtest stdio -device e1000e", /'e1000e' is not a device here/],
    ["-qtest stdio -device edu,speed=9", /'edu.speed' does not exist/],
    ["-qtest stdio -device iommu-testdev,dma_mask=1", /'iommu-testdev.dma_mask' does not exist/],
    ["-qtest stdio -device edu,dma_mask=all", /dma_mask is not a number/],
    ["-qtest stdio -device edu,addr=20", /addr is SLOT/],
    ["-qtest stdio -chardev socket,path=/tmp/x", /id is missing/],
    ["-qtest stdio -mon chardev=c,mode=control", /chardev 'c'/],
    ["-qtest stdio -chardev null,id=c -mon chardev=c,mode=control", /not a socket/],
  ])("%s", (line, message) => {
    expect(() => parseQemuOptions(words(line).filter(Boolean))).toThrow(message);
    expect(() => parseQemuOptions(words(line))).toThrow(
      expect.objectContaining({ name: "QemuOptionError", message: expect.not.stringContaining("\n") }),
    );
  });

  test("two devices in one slot, and more devices than slots", () => {
    const machine =
      (...args: string[]): (() => Machine) =>
      () =>
        new Machine(parseQemuOptions([...QTEST, ...args]).machine);
    expect(machine("-device", "edu,addr=2", "-device", "edu,addr=2")).toThrow("slot 2 function 0");
    expect(machine("-device", "edu,addr=0")).toThrow("slot 0 function 0");
    expect(machine(...Array.from({ length: 32 }, () => ["-device", "edu"]).flat())).toThrow("32 slots");
  });
});
