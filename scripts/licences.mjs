// SPDX-License-Identifier: MIT
// Puts the licence line of each source at the top of what was compiled from it. The compiler drops it where a type-only import
// follows, and from every .d.ts; the package has files under two licences, so each has to say which.
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const head = Buffer.alloc(80);

/** The first line of a file, as far as it could be a licence line. */
function firstLine(path) {
  const file = openSync(path, "r");
  try {
    return head.toString("utf8", 0, readSync(file, head, 0, head.length, 0)).split(/\r?\n/, 1)[0];
  } finally {
    closeSync(file);
  }
}

/** Writes a file and leaves its time as it was, so that the compiler sees nothing newer than its own record of the build. */
function rewrite(path, text) {
  const { atime, mtime } = statSync(path);
  writeFileSync(path, text);
  utimesSync(path, atime, mtime);
}

/** A field of our own at the start of a source map, which says that it is shifted. */
const SHIFTED = '{"x_shifted":1,';

/** Makes a source map count from the second line of output: each ";" in it ends a line, one more stands before the first. */
function shift(path) {
  if (!existsSync(path) || firstLine(path).startsWith(SHIFTED)) return;
  rewrite(path, readFileSync(path, "utf8").replace("{", SHIFTED).replace('"mappings":"', '"mappings":";'));
}

/** Stamps what lacks its line; what has it, and what has no source any more, stays as it is. */
export function stampLicences(root) {
  const walk = (folder) => {
    for (const entry of readdirSync(join(root, "dist", folder), { withFileTypes: true })) {
      const name = join(folder, entry.name);
      if (entry.isDirectory()) {
        // .build and .test are not part of the package.
        if (!entry.name.startsWith(".")) walk(name);
        continue;
      }
      const source = join(root, "src", name.replace(/(\.d\.ts|\.js)$/, ".ts"));
      if (!/(\.d\.ts|\.js)$/.test(name) || !existsSync(source)) continue;
      const line = firstLine(source);
      if (!line.startsWith("// SPDX-License-Identifier: ")) throw new Error(`${source} does not say its licence in its first line`);
      const path = join(root, "dist", name);
      const lacks = firstLine(path) !== line;
      // The compiler never writes the line to a .d.ts, and may write a .d.ts.map anew without its .d.ts. The map comes first: a
      // build that is interrupted in between is made good by the next one.
      if (lacks || name.endsWith(".d.ts")) shift(`${path}.map`);
      if (lacks) rewrite(path, `${line}\n${readFileSync(path, "utf8")}`);
    }
  };
  walk("");
}
