// SPDX-License-Identifier: MIT
// The command line of npm run bench.
import { setImmediate as turn } from "node:timers/promises";
import { parseArgs } from "node:util";
import { refuse } from "./output.mjs";

const HELP = `npm run bench -- [options]

  --quick         fewer subjects and rounds: half a minute on an idle machine
  --only PATTERN  subjects whose id or label matches this regular expression;
                  given more than once: any of them
  --list          the ids and labels that there are, and no more
  --profile       also a CPU profile of each subject into out/profile, with its shares
  --document      puts the figures into README.md and docs/performance.md; only for a
                  whole run
  -h, --help

Measures the built dist/. With a C compiler (cc, or what CC says, arguments included)
the programs of bench/native are built and take turns with it. A whole run writes
out/bench.json and out/bench.html; one with --quick or --only writes
out/bench-part.json and out/bench-part.html, and leaves those alone.
`;

const OPTIONS = {
  document: { type: "boolean", default: false },
  quick: { type: "boolean", default: false },
  only: { type: "string", multiple: true, default: [] },
  list: { type: "boolean", default: false },
  profile: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
};

function parse() {
  try {
    const { values } = parseArgs({ options: OPTIONS });
    return { ...values, patterns: values.only.map((text) => new RegExp(text, "i")) };
  } catch (error) {
    return refuse(`${error.message}\n\n${HELP}`.trimEnd());
  }
}

/** @returns the options; `wants` says whether a subject is to be measured, `whole` whether all of them are, in full */
export async function options() {
  const { patterns, ...values } = parse();
  if (values.help) {
    process.stdout.write(HELP);
    // A failure of the output is heard of by then.
    await turn();
    process.exit(0);
  }
  const whole = !values.quick && patterns.length === 0;
  if (values.document && !whole) refuse("--document needs all figures: leave out --quick and --only");
  const wants = ({ id, label }) => patterns.length === 0 || patterns.some((pattern) => pattern.test(id) || pattern.test(label));
  return { ...values, whole, wants };
}
