import { type ExitCode, exitCodes } from './exit-codes.js';

/** Why a command ends badly, where the gateway has not said so itself. Names no key. */
export class CommandError extends Error {
  override readonly name = 'CommandError';

  constructor(
    readonly code: string,
    message: string,
    /** What to do about it; empty: nothing that the message does not say. */
    readonly advice: string,
    readonly exitCode: ExitCode = exitCodes.usage,
  ) {
    super(message);
  }
}

/** A command that was called in a way that it does not understand. */
export function usageError(message: string, command: string): CommandError {
  return new CommandError('usage', message, `see isms-otp ${command} --help`);
}
