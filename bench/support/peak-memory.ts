import { readFile } from 'node:fs/promises';

/** The most memory that the process has had so far, in megabytes. */
export async function peakMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => {
    throw new Error('the peak of a process is read from /proc, which only Linux has');
  });
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) / 1_024;
}
