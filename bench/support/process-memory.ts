import { readFile } from 'node:fs/promises';

/** The most memory that the process has had so far, in megabytes. */
export const peakMemory = (pid: number) => memory(pid, 'VmHWM');

/** The memory that the process has now, in megabytes. */
export const residentMemory = (pid: number) => memory(pid, 'VmRSS');

async function memory(pid: number, name: string): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => {
    throw new Error('the memory of a process is read from /proc, which only Linux has');
  });
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1_024;
}
