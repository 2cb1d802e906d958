import type { CommandModule } from "yargs";
export const dmesgCommand: CommandModule = { command: "dmesg [file]", describe: "x", handler: () => {} };
