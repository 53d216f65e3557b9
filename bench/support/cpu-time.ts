import { readFileSync } from 'node:fs';

/** The kernel counts CPU time in hundredths of a second. */
const tickUs = 10_000;

/** CPU time that a process has used, user and system, in µs. */
export function cpuTimeUs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * tickUs;
}
