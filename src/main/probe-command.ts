import type { CommandBuilder } from './commands.js';
import type { ProbeCommandOptions } from './probe.js';

export function addProbe({ local, call }: CommandBuilder): void {
  local('probe <number>', 'compare the real iSMS account with what the gateway assumes; sends one SMS')
    .option('--code <file>', 'file that the code of the SMS is written to; - reads it from stdin')
    .option('--expired', 'wait a minute, and verify the code once it has expired')
    .option('--transcript <file>', 'new file for the masked replies; default: isms-probe-<time>.txt')
    .option('--yes', 'send without asking first')
    .action((number: string, options: ProbeCommandOptions & { json?: boolean }) =>
      call('probe', { ...options, whenStopped: 'the SMS may have been sent' }, async (one) =>
        (await import('./probe.js')).probe(one, number, options),
      ),
    );
}
