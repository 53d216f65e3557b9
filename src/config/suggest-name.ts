/** Beginnings of names that only this program uses. */
const ownPrefix = /^(?:ISMS|OTP|LIMIT|FRAUD|BULK|WEBHOOK|ENCRYPTION)_/;
/** Names from this length on are unlikely to resemble the name of another program's variable by chance. */
const distinctLength = 12;
const minDistinctWord = 5;

/**
 * Finds the setting that a misspelt variable means: one within few edits, or one that continues a name with a prefix of
 * ours, such as ISMS_USERNAME for ISMS_USER. Variables of other programs resemble short names, so that there one of the
 * words must be right.
 */
export function suggestName(variable: string, names: readonly string[]): string | null {
  const resembling = names.find(
    (name) =>
      Math.abs(variable.length - name.length) <= maxEdits(name) &&
      mayMean(variable, name) &&
      editsBetween(variable, name) <= maxEdits(name),
  );
  if (resembling !== undefined) return resembling;
  return ownPrefix.test(variable) ? (names.find((name) => continues(variable, name)) ?? null) : null;
}

const maxEdits = (name: string) => Math.min(3, Math.floor(name.length / 6));

function mayMean(variable: string, name: string): boolean {
  const end = name.indexOf('_');
  if (end < 0) return false;
  if (name.length >= distinctLength && variable[0] === name[0]) return true;
  if (variable.startsWith(name.slice(0, end + 1))) return true;
  return end >= minDistinctWord && variable.endsWith(name.slice(end));
}

/** Whether a name continues the variable beyond its prefix. */
function continues(variable: string, name: string): boolean {
  return name.startsWith(variable) && variable.length >= variable.indexOf('_') + 4;
}

/** Edit distance in which two swapped neighbours count as one edit. */
function editsBetween(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const [x, y] = [a[row - 1], b[column - 1]];
      const [left = 0, above = 0, diagonal = 0] = [current[column - 1], last[column], last[column - 1]];
      const swapped = x === b[column - 2] && y === a[row - 2] ? (beforeLast[column - 2] ?? 0) + 1 : a.length;
      current.push(Math.min(left + 1, above + 1, diagonal + (x === y ? 0 : 1), swapped));
    }
    [beforeLast, last] = [last, current];
  }
  return last[b.length] ?? 0;
}
