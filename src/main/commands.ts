import { Argument, Command, CommanderError, Option } from 'commander';
import type { ListBatchesOptions, ListOtpsOptions, StatsOptions } from 'isms-otp-client';
import type { BulkOptions } from '../cli/bulk.js';
import type { Call, Terminal } from '../cli/call.js';
import { shells } from '../cli/completion.js';
import type { ExitCode } from '../cli/failure.js';
import type { SendOptions } from '../cli/send.js';
import type { VerifyOptions } from '../cli/verify.js';
import { statuses } from '../otp/otp.js';
import { moment, wholeNumber } from './argument-parsers.js';
import { soleSubcommand, subcommandTerm } from './command-help.js';
import { argumentTexts, groups, renamedCommands } from './command-texts.js';
import type { OperatorOptions } from './number-list-commands.js';
import type { runOperatorCommand } from './operate.js';
import type { CommandOutput } from './operator-input.js';
import { packageVersion } from './package-version.js';
import type { ProbeCommandOptions } from './probe.js';
import type { runProcess } from './run-process.js';

/** Runs one command line; resolves with its exit code, for a process that goes on: once it runs. */
export async function runCommandLine(args: readonly string[], io: CommandLineIo): Promise<number> {
  let exitCode = 0;
  const program = createProgram(io, (code) => {
    exitCode = code;
  });
  const { command, words, known } = findCommand(program, args[0] === 'help' ? args.slice(1) : args);
  try {
    if (!known) {
      const formerly = renamedCommands.get(words.join(' '));
      if (formerly) throw new Error(`isms-otp ${words.join(' ')} was renamed to isms-otp ${formerly}.`);
      // Without what follows: --help after an unknown command must not hide the error.
      await program.parseAsync(words, { from: 'user' });
    } else if (args[0] === 'help') {
      command.outputHelp();
    } else {
      await program.parseAsync([...args], { from: 'user' });
    }
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) {
      io.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
      return 1;
    }
    if (error.exitCode === 0 || error.code === 'commander.help') return error.exitCode;
    const problem = problemOf(error);
    const name = words.join(' ');
    if (clientCommands.has(command)) {
      const { complain } = await import('../cli/call.js');
      const { usageError } = await import('../cli/failure.js');
      return complain({ json: args.includes('--json'), stderr: io.stderr }, usageError(problem, name));
    }
    const help = ['isms-otp', ...(known ? words : words.slice(0, -1)), '--help'].join(' ');
    io.stderr.write(`${problem}\nSee ${help}.\n`);
    return 1;
  }
}

/** The command that the leading words name; `known` is false if the last of `words` names none. */
function findCommand(program: Command, args: readonly string[]) {
  let command = program;
  const words: string[] = [];
  for (const word of args) {
    if (command.commands.length === 0 || word.startsWith('-')) break;
    words.push(word);
    const next = command.commands.find((one) => one.name() === word);
    if (!next) return { command, words, known: false };
    command = next;
  }
  return { command, words, known: true };
}

/** Commands whose errors have the form and exit codes of docs/command-line.md. */
const clientCommands = new WeakSet<Command>();

/** The message of a parse error in one line, with its suggestion. */
function problemOf({ message }: CommanderError): string {
  return (
    message
      .replace(/^error: /, '')
      // The arguments that follow may be phone numbers or codes.
      .replace(/^(too many arguments .* but got \d+): .*$/s, '$1.')
      .replace(/\n\(Did you mean (.*)\?\)$/, ', did you mean $1?')
      .replaceAll(/\s*\n\s*/g, ' ')
  );
}

/** What commands run with. */
export interface CommandLineIo extends Terminal {
  /** A signal that aborts when the command is told to stop. */
  stopSignal(): AbortSignal;
}

interface GatewayOptions {
  json?: boolean;
  url?: string;
}

/**
 * Every command of `isms-otp`. A command reads settings and imports its code when it runs, so that help and short
 * commands start fast. `setExitCode` gets the exit code of a command that fails without an error.
 */
function createProgram(io: CommandLineIo, setExitCode: (code: number) => void): Command {
  const program = new Command('isms-otp')
    .description('Gateway in front of the iSMS 2FA API.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print the help of a command')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      outputError: () => {},
    })
    .configureHelp({ subcommandTerm, subcommandDescription: (one) => soleSubcommand(one).description() })
    .addHelpText('after', '\nSettings are environment variables: docs/configuration.md.');
  const adders = [addProcesses, addChecksAndKeys, addOperations, addGatewayCommands];
  for (const add of adders) add(createCommandBuilder(program, io, setExitCode));
  return program;
}

type CommandBuilder = ReturnType<typeof createCommandBuilder>;

/** Functions that add commands to the program, print their results and call a gateway. */
function createCommandBuilder(program: Command, io: CommandLineIo, setExitCode: (code: number) => void) {
  const define = (path: string, description: string): Command => {
    const [first = '', ...rest] = path.split(' ');
    const group = groups[first];
    const known = program.commands.find((command) => command.name() === first);
    const parent = group === undefined ? program : (known ?? program.command(first).description(group));
    const command = parent.command(group === undefined ? path : rest.join(' ')).description(description);
    for (const argument of command.registeredArguments) {
      argument.description = argumentTexts[argument.name()] ?? '';
    }
    return command;
  };
  const withJson = (command: Command) => command.option('--json', 'print JSON');
  const print = async (
    { json }: { json?: true },
    outputs: AsyncIterable<CommandOutput> | Iterable<CommandOutput>,
  ): Promise<void> => {
    for await (const { text, data } of outputs) io.stdout.write(`${json ? JSON.stringify(data) : text}\n`);
  };
  const local = (path: string, description: string) => {
    const command = withJson(define(path, description));
    clientCommands.add(command);
    return command;
  };
  const client = (path: string, description: string) =>
    local(path, description).option('--url <URL>', 'gateway address; default: ISMS_OTP_URL');
  const call = async (
    name: string,
    { json = false, url, whenStopped }: GatewayOptions & { whenStopped?: string },
    run: (call: Call) => Promise<ExitCode>,
  ): Promise<void> => {
    const { runCall } = await import('../cli/call.js');
    setExitCode(await runCall({ ...io, name, json, url, signal: io.stopSignal() }, run, whenStopped));
  };
  return { program, io, setExitCode, define, withJson, print, local, client, call };
}

function addProcesses({ program, io, define }: CommandBuilder): void {
  program.commandsGroup('Processes:');
  const processCommand = (name: Parameters<typeof runProcess>[0], description: string) =>
    define(name, description).action(async () => {
      const { runProcess } = await import('./run-process.js');
      await runProcess(name, io.env);
    });
  processCommand('start', 'run everything on this machine, with a private Redis and the iSMS simulator');
  processCommand('api', 'run the HTTP API');
  processCommand('worker', 'run a worker');
  processCommand('simulate', 'run the iSMS simulator');
}

function addChecksAndKeys(builder: CommandBuilder): void {
  const { program, io, setExitCode, define, withJson, print, local, call } = builder;
  program.commandsGroup('Checks and keys:');
  withJson(define('doctor', 'check Redis, iSMS, clocks and settings from this machine, with advice')).action(
    async (options) => {
      const { diagnose } = await import('./doctor.js');
      for await (const output of diagnose(io.env)) {
        if (output.data.level === 'problem') setExitCode(1);
        await print(options, [output]);
      }
    },
  );
  withJson(define('config validate', 'print the settings or all errors'))
    .addArgument(
      new Argument('[role]', argumentTexts['role'])
        .choices(['api', 'worker', 'start', 'simulate', 'operator', 'producer'])
        .default('api'),
    )
    .action(async (role, options) => {
      const { validateConfig } = await import('./config-commands.js');
      await print(options, [await validateConfig(role, io.env)]);
    });
  withJson(
    define('apps validate [file]', 'print the apps in a file (default: APPS_FILE) or all errors'),
  ).action(async (file: string | undefined, options) => {
    const { validateApps } = await import('./config-commands.js');
    await print(options, [validateApps(file, io.env)]);
  });
  withJson(define('keys create <app>', 'create an API key and its digest')).action(
    async (app: string, options) => {
      const { createKey } = await import('./config-commands.js');
      await print(options, [createKey(app)]);
    },
  );
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

function addOperations({ program, io, define, withJson, print }: CommandBuilder): void {
  program.commandsGroup('Operations:');
  const operator = (name: Parameters<typeof runOperatorCommand>[0], args: string, description: string) => {
    const command = withJson(define(`${name} ${args}`.trim(), description));
    command.action(async () => {
      const { runOperatorCommand } = await import('./operate.js');
      const options = command.opts<OperatorOptions & { json?: true }>();
      await print(options, runOperatorCommand(name, command.processedArgs, io.env, options));
    });
    return command;
  };
  for (const [verb, text] of [
    ['allow', 'exempt a number, or a prefix, from the toll-fraud guard'],
    ['deny', 'send nothing to a number, or a prefix'],
  ] as const) {
    operator(`numbers ${verb}`, '<prefix>', text)
      .option('--app <name>', 'only OTPs of this app; default: all apps')
      .option(
        '--until <time>',
        'end, such as 2026-11-25T08:00:00+08:00; default: until it is removed',
        moment,
      );
  }
  operator('numbers list', '', 'list the allowed and denied numbers');
  operator('numbers remove', '[prefix]', 'remove a number, or a prefix, from the allow or deny list')
    .option('--app <name>', 'the entry of this app; default: the entry of all apps')
    .addOption(new Option('--unreadable', 'remove the entries that cannot be decrypted').conflicts('app'));
  operator('numbers unlock', '<app> <number>', 'clear the limits and wrong codes of a phone number');
  operator('apps list', '', 'list the apps, and which of them are paused');
  operator('apps pause', '<app>', 'stop sending OTPs of an app; verification goes on');
  operator('apps resume', '<app>', 'send OTPs of an app again');
  operator('ranges list', '', 'list number ranges that the toll-fraud guard limits');
  operator('ranges unblock', '<app> <range>', 'clear the limits and history of a range');
  operator('webhooks redeliver', '', 'deliver again the events whose delivery was given up');
  operator('redis mark-restored', '', 'mark waiting OTPs as possibly sent, after Redis was restored');
  operator('subject export', '<number>', 'print all data about a phone number, as NDJSON');
  operator('subject erase', '<number>', 'erase all data about a phone number');
  operator('audit', '', 'print the audit log, as NDJSON')
    .addArgument(new Argument('<since>', argumentTexts['since']).argParser(moment))
    .addArgument(new Argument('<until>', argumentTexts['until']).argParser(moment));
}

function addGatewayCommands({ program, print, local, client, call }: CommandBuilder): void {
  program.commandsGroup('Use a gateway (docs/command-line.md):');
  client('send <number>', 'send an OTP')
    .option('--message <text>', 'message with %OTP% once; default: DEFAULT_MESSAGE')
    .option('--template <name>', 'template of the app, instead of --message')
    .option('--locale <tag>', 'language of the template, such as ms')
    .option('--variable <name=value...>', 'value of a variable of the template, such as amount=5.00')
    .option('--purpose <word>', 'purpose of the OTP, such as login')
    .option('--sender-id <text>', 'sender ID: letters and digits, at most 11')
    .option('--reference <text>', 'your own id')
    .option('--client-ip <address>', 'IP address of the user, for the limit per address')
    .option('--limit-key <kind=id...>', 'own id that the app is limited by, such as user=u-4711')
    .option('--binding <text>', 'what the code approves, such as a payment by its id, amount and account')
    .option('--ttl <seconds>', 'validity of the code; default: OTP_TTL_SECONDS', wholeNumber)
    .option('--send-deadline <seconds>', 'send deadline; default: OTP_SEND_DEADLINE_SECONDS', wholeNumber)
    .option('--max-attempts <n>', 'verification attempts; default: OTP_MAX_ATTEMPTS', wholeNumber)
    .option('--wait <seconds>', 'time to wait for the send, at most 30; default: 10', wholeNumber)
    .option('--idempotency-key <key>', 'send only once under this key')
    .action((to: string, options: SendOptions & GatewayOptions) =>
      call('send', options, async (one) => (await import('../cli/send.js')).send(one, to, options)),
    );
  const verify = client('verify [id] [code]', 'verify a code')
    .option('--to <number>', 'newest OTP to this number, instead of an id')
    .option('--purpose <word>', 'purpose of the OTP, with --to')
    .option('--binding <text>', 'what the code approves, as given to the send')
    .action((_id: unknown, _code: unknown, options: GatewayOptions & VerifyOptions) =>
      call('verify', options, async (one) =>
        (await import('../cli/verify.js')).verify(one, verify.args, options),
      ),
    );
  client('status [id]', 'show an OTP or a batch')
    .option('--reference <text>', 'OTPs with this id of your own, instead of an id')
    .option('--watch', 'print each change until the OTP or batch has ended')
    .action((id: string | undefined, options: GatewayOptions & { reference?: string; watch?: true }) =>
      call('status', options, async (one) => (await import('../cli/status.js')).status(one, id, options)),
    );
  client('bulk <file>', 'send an OTP for each line of a .csv, .ndjson or .jsonl file; run again to resume')
    .option('--name <text>', 'name of the batch, at most 100 characters')
    .option('--start-at <time>', 'start, at most 7 days ahead, such as 2026-11-25T08:00:00+08:00', moment)
    .option('--per-second <n>', 'maximum OTPs sent per second', wholeNumber)
    .option('--defaults <JSON>', 'members of an OTP, for lines that lack them')
    .option('--results <file>', 'file for the result of each line; default: <file>.results.ndjson')
    .option('--wait', 'wait until all OTPs are sent')
    .option('--idempotency-key <key>', 'send each line only once under this key; default: a new one')
    .option('--again', 'send the whole file as a new upload')
    .addOption(
      new Option('--retry-rejected', 'send the rejected lines of a finished upload again').conflicts('again'),
    )
    .action((file: string, options: BulkOptions & GatewayOptions) =>
      call(
        'bulk',
        { ...options, whenStopped: 'run it again, without --again, to resume: each line counts once' },
        async (one) => (await import('../cli/bulk.js')).bulk(one, file, options),
      ),
    );
  client('otps list', 'list OTPs, newest first; `status --reference` shows those of a reference')
    .addOption(new Option('--status <status>', 'only OTPs with this status').choices([...statuses]))
    .option('--purpose <word>', 'only OTPs with this purpose')
    .option('--batch <batch>', 'only OTPs of this batch, last lines first')
    .option('--since <time>', 'only OTPs accepted since then, such as 2026-11-25 (UTC)', moment)
    .option('--until <time>', 'only OTPs accepted before then', moment)
    .option('--limit <n>', 'maximum number of OTPs; default: 20', wholeNumber)
    .action((options: ListOtpsOptions & GatewayOptions) =>
      call('otps list', options, async (one) => (await import('../cli/otps.js')).listOtps(one, options)),
    );
  const batchStatuses = ['scheduled', 'sending', 'paused', 'cancelled', 'finished'];
  client('batches list', 'list batches, newest first')
    .addOption(new Option('--status <status>', 'only batches with this status').choices(batchStatuses))
    .option('--since <time>', 'only batches created since then, such as 2026-11-25 (UTC)', moment)
    .option('--until <time>', 'only batches created before then', moment)
    .option('--limit <n>', 'maximum number of batches; default: 20', wholeNumber)
    .action((options: ListBatchesOptions & GatewayOptions) =>
      call('batches list', options, async (one) =>
        (await import('../cli/batches.js')).listBatches(one, options),
      ),
    );
  const batch = (verb: 'show' | 'pause' | 'resume' | 'cancel', description: string) =>
    client(`batches ${verb} <batch>`, description).action((id: string, options: GatewayOptions) =>
      call(`batches ${verb}`, options, async (one) =>
        (await import('../cli/batches.js')).showBatch(one, id, verb === 'show' ? null : verb),
      ),
    );
  batch('show', 'show a batch');
  batch('pause', 'stop sending a batch until it is resumed');
  batch('resume', 'go on sending a batch');
  batch('cancel', 'cancel what a batch has not sent, and close it');
  client('balance', 'show the credits of the iSMS account: now, for the last 30 days, and how long they last')
    .option('--refresh', 'ask iSMS first')
    .action((options: GatewayOptions & { refresh?: true }) =>
      call('balance', options, async (one) => (await import('../cli/balance.js')).balance(one, options)),
    );
  client('stats', 'show OTPs sent, verified and failed, conversion and time to verify')
    .addOption(new Option('--by <group>', 'group of the rows').choices(['country', 'purpose', 'template']))
    .addOption(new Option('--step <time>', 'time of a row; default: 1h').choices(['5m', '1h', '1d']))
    .option(
      '--since <time>',
      'start, such as 2026-11-25T00:00:00+08:00; default: 24 hours before --until',
      moment,
    )
    .option('--until <time>', 'end; default: now', moment)
    .action((options: StatsOptions & GatewayOptions) =>
      call('stats', options, async (one) => (await import('../cli/stats.js')).stats(one, options)),
    );
  local('completion', 'print the completion script of a shell')
    .addArgument(new Argument('<shell>', argumentTexts['shell']).choices(shells))
    .action(async (shell: (typeof shells)[number], options) => {
      const { completionScript } = await import('../cli/completion.js');
      const script = completionScript(shell, program);
      await print(options, [{ text: script, data: { shell, script } }]);
    });
}
