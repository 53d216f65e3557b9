import type { Batch, Otp, OtpClient } from 'isms-otp-client';
import { batchLine, batchText, isThrough } from './batch-view.js';
import { type Call, defineCommand } from './command.js';
import { CommandError } from './command-error.js';
import { type ExitCode, exitCodes } from './exit-codes.js';
import { gatewayOf } from './gateway.js';
import { hasEnded, otpText } from './otp-view.js';
import { watch } from './watch.js';

type StatusCall = Call<'watch' | 'reference' | 'url'>;

/** Shows an OTP or a batch as it is now, or as it changes. */
export const status = defineCommand({
  form: 'status <id>',
  says: 'what became of an OTP or a batch',
  flags: {
    reference: { takes: 'text', says: 'in place of the id: all OTPs with this id of your own' },
    watch: { says: 'look until it has ended; a line for each change' },
  },
  run: async (call) => {
    const [id, ...more] = call.words;
    const reference = call.text('reference');
    if ((id === undefined) === (reference === undefined) || more.length > 0) {
      throw call.misused('One id, or --reference, is needed');
    }
    const { client } = await gatewayOf(call);
    if (id === undefined) return await showReference(client, call, reference ?? '');
    if (id.startsWith('batch_')) return await showBatch(client, call, id);
    return await showOtp(client, call, id);
  },
});

async function showReference(client: OtpClient, call: StatusCall, reference: string): Promise<ExitCode> {
  if (call.is('watch')) throw call.misused('--watch needs an id: a reference may have many');
  const otps = await client.findByReference(reference, { signal: call.io.signal });
  if (otps.length === 0) {
    throw new CommandError('otp_not_found', 'No OTP has this reference', '', exitCodes.refused);
  }
  call.answer({ otps }, otps.map(otpText).join('\n\n'));
  return exitCodes.done;
}

async function showOtp(client: OtpClient, call: StatusCall, id: string): Promise<ExitCode> {
  return await show<Otp>(call, {
    look: () => client.get(id, { signal: call.io.signal }),
    isOver: hasEnded,
    text: otpText,
    line: (otp) => `${otp.status}${otp.failure ? ` (${otp.failure.code})` : ''}`,
  });
}

async function showBatch(client: OtpClient, call: StatusCall, id: string): Promise<ExitCode> {
  return await show<Batch>(call, {
    look: () => client.getBatch(id, { signal: call.io.signal }),
    isOver: isThrough,
    text: batchText,
    line: batchLine,
  });
}

interface Shown<T> {
  look(): Promise<T>;
  isOver(found: T): boolean;
  text(found: T): string;
  /** What is compared to tell a change. */
  line(found: T): string;
}

async function show<T extends object>(call: StatusCall, shown: Shown<T>): Promise<ExitCode> {
  if (!call.is('watch')) {
    const found = await shown.look();
    call.answer(found, shown.text(found));
    return exitCodes.done;
  }
  let before = '';
  for await (const found of watch(shown.look, shown.isOver, call.io.signal)) {
    const line = shown.line(found);
    if (line !== before) call.answer(found, `${new Date().toISOString()}  ${line}`);
    before = line;
  }
  return exitCodes.done;
}
