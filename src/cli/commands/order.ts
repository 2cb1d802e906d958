// SPDX-License-Identifier: MIT
/** `quiesce order`: in which order a board's devices are shut down, and which SMMU clients that leaves at risk. */
import type { Argv, CommandModule } from "yargs";
import { fdt_read, FdtError, unflatten_device_tree } from "../../kernel/index.ts";
import { isCompatible, orderDocument, OrderError, type OrderOptions, orderText, shutdownOrder } from "../../lab/index.ts";
import { ExitCode, UsageError } from "../exit.ts";
import { MOST_DTB } from "../files.ts";
import { inputName, readBlob } from "../input.ts";
import { painter, print, printJson } from "../terminal.ts";
import { examples } from "../usage.ts";

const FW_DEVLINK = ["off", "permissive", "on", "rpm"] as const;

interface OrderArguments {
  readonly board: string;
  readonly "fw-devlink": OrderOptions["fwDevlink"];
  readonly strict: boolean;
  readonly module: string | readonly string[] | undefined;
  readonly "built-in": string | readonly string[] | undefined;
  readonly all: boolean;
  readonly json: boolean;
}

/** Names given by several options, or by one with commas, which compatible strings have, too. */
function names(given: string | readonly string[] | undefined): string[] {
  return [given ?? []]
    .flat()
    .flatMap((words) => (isCompatible(words) ? [words] : words.split(",").map((word) => word.trim())))
    .filter((word) => word !== "");
}

async function order(argv: OrderArguments): Promise<void> {
  const { strict, all, json } = argv;
  const options: OrderOptions = { fwDevlink: argv["fw-devlink"], strict, modules: names(argv.module), builtIn: names(argv["built-in"]) };
  const both = options.modules.find((name) => options.builtIn.includes(name));
  if (both !== undefined) throw new UsageError(`${both} is given with --module and with --built-in`);
  if (strict && (options.fwDevlink === "off" || options.fwDevlink === "permissive"))
    throw new UsageError(`--strict has no meaning with --fw-devlink ${options.fwDevlink}: no device waits for a supplier then`);
  const blob = await readBlob(argv.board, MOST_DTB);
  const board = inputName(argv.board);
  try {
    const result = shutdownOrder(unflatten_device_tree(fdt_read(blob)), options);
    if (json) printJson(orderDocument(board, options, result));
    else print(orderText(board, options, result, all, painter()));
    // What nobody knows is not safe either.
    const quiet = result.unknown.length > 0 ? ExitCode.inconclusive : ExitCode.ok;
    process.exitCode = result.atRisk.length > 0 ? ExitCode.broken : quiet;
  } catch (error) {
    if (error instanceof FdtError) throw new UsageError(`${board}: ${error.message}`);
    if (error instanceof OrderError) throw new UsageError(error.message.startsWith("--") ? error.message : `${board}: ${error.message}`);
    throw error;
  }
}

export const orderCommand: CommandModule<object, OrderArguments> = {
  command: "order <board>",
  describe: "a board's shutdown order, from its device tree",
  builder: (yargs: Argv<object>): Argv<OrderArguments> =>
    yargs
      .positional("board", {
        type: "string",
        demandOption: true,
        describe: "a device tree blob (DTB), as of dtc or /sys/firmware/fdt; -: standard input",
      })
      .option("fw-devlink", { choices: FW_DEVLINK, default: "rpm" as const, describe: "the kernel's fw_devlink=" })
      .option("strict", { type: "boolean", default: false, describe: "fw_devlink.strict=1: iommus and dmas make links too" })
      .option("module", { type: "string", describe: "this driver is a module; may be repeated", requiresArg: true })
      .option("built-in", { type: "string", describe: "this driver is built in; may be repeated", requiresArg: true })
      .option("all", { type: "boolean", default: false, describe: "list every device, not only SMMUs and their clients" })
      .option("json", { type: "boolean", default: false, describe: "print one JSON document instead of the text" })
      .epilogue(
        [
          "Drivers are those of Linux's arm64 defconfig. Exit: 0 if no client is at risk,",
          "1 if one is shut down after its SMMU or has no shutdown hook, 4 if none is",
          "known to be and the driver of one is unknown.\n",
        ].join("\n"),
      )
      .epilogue(
        examples(
          ["quiesce order board.dtb", "who goes before whom"],
          ["quiesce order board.dtb --built-in hdlcd", "the same with the display driver built in"],
          ["quiesce order board.dtb --strict --json", "with fw_devlink.strict=1, as JSON"],
        ),
      ),
  handler: order,
};
