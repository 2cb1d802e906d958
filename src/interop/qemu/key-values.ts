// SPDX-License-Identifier: MIT
/** QEMU's `first,key=value,key=value` arguments; a comma inside a value is written twice. */

/**
 * @param implied the key of a first part without `=`
 * @returns the values by key, the last one of a key; a later part without `=` counts as `on`
 */
export function parseKeyValues(text: string, implied: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  const parts = text.replaceAll(",,", "\0").split(",");
  for (const [index, escaped] of parts.entries()) {
    const part = escaped.replaceAll("\0", ",");
    const equals = part.indexOf("=");
    if (equals >= 0) values.set(part.slice(0, equals), part.slice(equals + 1));
    else if (part !== "") values.set(...(index === 0 ? ([implied, part] as const) : ([part, "on"] as const)));
  }
  return values;
}
