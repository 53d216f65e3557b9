import { setTimeout as sleep } from 'node:timers/promises';
import type { Batch, Otp } from 'isms-otp-client';
import { answer, type Call, connect } from './call.js';
import { CommandError, type ExitCode, exitCodes, reasonText, usageError } from './failure.js';
import { batchLine, batchText, hasEnded, isSent, otpText } from './view.js';

const pollEveryMs = 1_000;

/** Shows an OTP or a batch once, or each change of it until it has ended (`--watch`). */
export async function status(
  call: Call,
  id: string | undefined,
  options: { reference?: string; watch?: true },
): Promise<ExitCode> {
  const { reference } = options;
  if ((id === undefined) === (reference === undefined)) {
    throw usageError('Give one id, or --reference', call.name);
  }
  if (reference !== undefined && options.watch) {
    throw usageError('--watch requires an id: a reference may have many OTPs', call.name);
  }
  const { client } = await connect(call);
  const { signal } = call;
  if (id === undefined) {
    const otps = await client.findByReference(reference ?? '', { signal });
    if (otps.length === 0) {
      throw new CommandError('otp_not_found', 'No OTP has this reference', '', exitCodes.rejected);
    }
    answer(call, { otps }, otps.map(otpText).join('\n\n'));
  } else if (id.startsWith('batch_')) {
    await show<Batch>(call, options.watch, {
      load: () => client.getBatch(id, { signal }),
      isOver: isSent,
      text: batchText,
      line: batchLine,
    });
  } else {
    await show<Otp>(call, options.watch, {
      load: () => client.get(id, { signal }),
      isOver: hasEnded,
      text: otpText,
      line: ({ status, failure }) => (failure ? `${status}: ${reasonText(failure)}` : status),
    });
  }
  return exitCodes.done;
}

interface Shown<T> {
  load(): Promise<T>;
  isOver(found: T): boolean;
  text(found: T): string;
  /** The line of a change; the same line twice is no change. */
  line(found: T): string;
}

/** Shows the result as it is now or, with `watch`, each change until it is final. */
async function show<T extends object>(call: Call, watch: true | undefined, shown: Shown<T>): Promise<void> {
  let before = '';
  if (!watch) {
    const found = await shown.load();
    return answer(call, found, shown.text(found));
  }
  for await (const found of poll(shown.load, shown.isOver, call.signal)) {
    const line = shown.line(found);
    if (line !== before) answer(call, found, `${new Date().toISOString()}  ${line}`);
    before = line;
  }
}

/** Loads once a second until the result is final. Rejects as soon as the signal aborts. */
export async function* poll<T>(
  load: () => Promise<T>,
  isOver: (found: T) => boolean,
  signal: AbortSignal,
): AsyncGenerator<T, void> {
  for (;;) {
    const found = await load();
    yield found;
    if (isOver(found)) return;
    await sleep(pollEveryMs, undefined, { signal });
  }
}
