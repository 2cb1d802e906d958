// SPDX-License-Identifier: MIT
/** The matrix as text for a terminal of 80 columns. Colour is the caller's: `paint` gets a style's name and the text. */
import { CLIENT_HOOKS, CLIENT_KINDS, SMMU_POLICIES, type Verdict, WAYS_DOWN, type WayDown } from "../run/types.ts";
import { type Paint, type TextStyle, wrap } from "../text.ts";
import { matrixCellKeys } from "./cells.ts";
import { BEARING_MEANING, type Bearing, conclusion, type Position, positions } from "./thread.ts";
import { foldOrder, LINK_KINDS } from "./order-table.ts";
import { foldLayout, layoutSentences } from "./layout-table.ts";
import type { LayoutRow, Matrix, MatrixCell, OrderRow } from "./types.ts";

const WIDTH = 80;
const ROW_LABEL = 19;
export const CODES: Record<Verdict, string> = { clean: "ok", contained: "con", stray: "str", corrupt: "COR" };
export const WAY_CODES: Record<WayDown, string> = { reboot: "reb", kexec: "kex", kdump: "kdu", "power-off": "off", emergency: "eme" };

function headings(paint: Paint): string[] {
  const groups = SMMU_POLICIES.map((policy) => ` ${policy.padEnd(4 * WAYS_DOWN.length - 1)}`).join("");
  const ways = SMMU_POLICIES.map(() => WAYS_DOWN.map((way) => ` ${WAY_CODES[way]}`).join("")).join("");
  return [
    `${"SMMU at shutdown".padEnd(ROW_LABEL)}${paint("bold", groups.trimEnd())}`,
    `${"client, its hook".padEnd(ROW_LABEL)}${paint("dim", ways)}`,
  ];
}

function matrixLines(cells: readonly MatrixCell[], paint: Paint): string[] {
  const verdicts = new Map(
    cells.map((cell) => [`${cell.smmuShutdown}/${cell.client}/${cell.clientShutdown}/${cell.wayDown}`, cell.verdict]),
  );
  const lines = headings(paint);
  for (const client of CLIENT_KINDS) {
    for (const hook of CLIENT_HOOKS) {
      const columns = SMMU_POLICIES.flatMap((policy) =>
        WAYS_DOWN.map((way) => {
          const verdict = verdicts.get(`${policy}/${client}/${hook}/${way}`);
          return verdict === undefined ? "   -" : paint(verdict, CODES[verdict].padStart(4));
        }),
      );
      const label = `${(hook === CLIENT_HOOKS[0] ? client : "").padEnd(9)}${hook}`;
      lines.push(`${label.padEnd(ROW_LABEL)}${columns.join("")}`);
    }
  }
  return lines;
}

/** @param waysDown those that stand in the table */
export function legend(paint: Paint, waysDown: readonly WayDown[] = WAYS_DOWN): string[] {
  const meaning: Record<Verdict, string> = {
    clean: "no claim broken",
    contained: "a claim broken, nothing harmed",
    stray: "memory reached that nobody granted",
    corrupt: "the next kernel or another owner's memory changed",
  };
  const verdicts = (Object.keys(meaning) as Verdict[]).map(
    (verdict) => `${paint(verdict, CODES[verdict])} ${verdict}: ${meaning[verdict]}`,
  );
  const ways = waysDown.map((way) => `${WAY_CODES[way]} ${way}`).join("  ");
  return [`${verdicts[0]}    ${verdicts[1]}`, `${verdicts[2]}`, `${verdicts[3]}`, paint("dim", ways)];
}

const BEARING_STYLE: Record<Bearing, TextStyle> = {
  "borne out": "clean",
  "in part": "stray",
  contradicted: "corrupt",
  "not measured": "dim",
};

function positionLines(position: Position, paint: Paint): string[] {
  const lines = [`${paint("bold", position.title)}: ${paint(BEARING_STYLE[position.bearing], position.bearing)}`];
  for (const finding of position.findings) {
    if (finding.of === 0) continue;
    const count = `${finding.count} of ${finding.of}`.padStart(8);
    const prefix = `  ${finding.weight.padEnd(7)} ${count}  `;
    const [first = "", ...rest] = wrap(finding.text, WIDTH - prefix.length);
    lines.push(`${prefix}${first}`, ...rest.map((line) => `${" ".repeat(prefix.length)}${line}`));
  }
  return lines;
}

function orderLines(rows: readonly OrderRow[], paint: Paint): string[] {
  const lines = [
    paint("dim", `${"DT nodes".padEnd(12)}${"drivers".padEnd(16)}${LINK_KINDS.map(({ title }) => title.padEnd(13)).join("")}`.trimEnd()),
  ];
  for (const { nodes, drivers, results } of foldOrder(rows)) {
    const columns = results.map((lost) => {
      if (lost === undefined) return "-".padEnd(13);
      return lost.length === 0 ? paint("clean", "in order".padEnd(13)) : paint("stray", shorten(lost).padEnd(13));
    });
    lines.push(`${nodes.padEnd(12)}${drivers.padEnd(16)}${columns.join("")}`.trimEnd());
  }
  return lines;
}

function layoutLines(rows: readonly LayoutRow[], paint: Paint): string[] {
  const samples = [...new Set(rows.map(({ layout, seed }) => `${layout} ${seed}`))];
  const cells = foldLayout(rows).map((cell) => {
    const label = `${cell.smmuShutdown.padEnd(8)}${cell.client.padEnd(9)}${cell.clientShutdown.padEnd(11)}`;
    const parts = cell.tally.map(({ verdict, count }) => paint(verdict, `${verdict} ${count}`));
    return `${label}${parts.join(", ")} of ${cell.rows.length}`;
  });
  return [
    paint("bold", "Does it depend on where memory lies? kexec on other layouts, with other seeds"),
    ...wrap(`RAM in GiB and seed: ${samples.join(", ")}`, WIDTH).map((line) => paint("dim", line)),
    ...cells,
    ...layoutSentences(rows).flatMap((sentence) => wrap(sentence, WIDTH)),
  ];
}

function shorten(names: readonly string[]): string {
  const text = names.map((name) => name.replace(/^.*\./, "")).join(" ");
  return text.length <= 12 ? text : `${names.length} clients`;
}

/** What is said of a matrix that is not whole; undefined if it is. */
export function partialNote({ complete, only, cells }: Matrix): string | undefined {
  if (complete) return undefined;
  const why = only === undefined ? "the run was interrupted" : `only cells with "${only}" in their names were asked for`;
  return `PARTIAL: ${cells.length} of ${matrixCellKeys().length} cells, because ${why}. No conclusion is drawn.`;
}

/** The whole of what `quiesce matrix` prints, without the line that names the files. */
export function matrixText(matrix: Matrix, paint: Paint): string {
  const note = partialNote(matrix);
  if (note !== undefined) {
    const lines = wrap(note, WIDTH).map((line) => paint("stray", line));
    const parts = [
      lines,
      [paint("dim", `seed ${matrix.seed}, one client active in each cell; -: not run`)],
      matrixLines(matrix.cells, paint),
      legend(paint),
      lines,
    ];
    return `${parts.map((part) => part.join("\n")).join("\n\n")}\n`;
  }
  const parts = [
    [
      paint("bold", "When this machine goes down: who still does DMA, and where does it land?"),
      paint("dim", `seed ${matrix.seed}, ${matrix.cells.length} cells, one client active in each`),
    ],
    matrixLines(matrix.cells, paint),
    legend(paint),
    conclusion(matrix.cells).flatMap((sentence) => wrap(sentence, WIDTH)),
    [
      paint("bold", "The thread of June 2020, put to these cells"),
      paint("dim", "Counts are cells on reboot, kexec and power-off, unless said otherwise."),
      ...BEARING_MEANING.map((line) => paint("dim", line)),
    ],
    ...positions(matrix.cells).map((position) => positionLines(position, paint)),
    [
      paint("bold", "Is the SMMU shut down after its clients? Same board, other arrangement"),
      paint("dim", "in order: the SMMU goes last; else the clients that lose their SMMU first"),
      paint("dim", "strict: fw_devlink.strict=1; link: a device link from each client to its SMMU"),
      ...orderLines(matrix.order, paint),
    ],
    ...(matrix.layout.length === 0 ? [] : [layoutLines(matrix.layout, paint)]),
  ];
  return `${parts.map((lines) => lines.join("\n")).join("\n\n")}\n`;
}
