import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { renamedCommands } from '../../src/main/command-texts.js';
import { run } from '../cli/run-terminal.js';

const commands = [
  ...[
    'start',
    'api',
    'worker',
    'simulate',
    'doctor',
    'probe',
    'config validate',
    'apps validate',
    'keys create',
  ],
  ...[
    'apps list',
    'apps pause',
    'apps resume',
    'numbers unlock',
    'ranges list',
    'ranges unblock',
    'webhooks redeliver',
    'redis mark-restored',
  ],
  ...[
    'subject export',
    'subject erase',
    'audit',
    'send',
    'verify',
    'status',
    'bulk',
    'batches list',
    'batches show',
    'batches pause',
    'batches resume',
    'batches cancel',
    'balance',
    'stats',
    'completion',
  ],
];

describe('help', () => {
  it.each(commands)('describes `%s` without settings', async (command) => {
    const words = command.split(' ');
    const help = await run([...words, '--help']);
    expect(help).toMatchObject({ code: 0, err: '' });
    expect(help.out).toMatch(new RegExp(`^Usage: isms-otp ${command} .*\n\n\\S.{10}`));
    expect(await run(['help', ...words])).toMatchObject({ code: 0, out: help.out, err: '' });
    expect(await run([...words, '-h'])).toMatchObject({ code: 0, out: help.out });
    const names = [...(help.out.split('\n')[0] ?? '').matchAll(/[<[](\w+)[>\]]/g)].map(([, name]) => name);
    for (const name of names.filter((one) => one !== 'options')) {
      expect(help.out).toMatch(new RegExp(`^  ${name} +\\S.{5}`, 'm'));
    }
  });

  it('shows a group with one command as that command', async () => {
    const { out } = await run(['--help']);
    expect(out).toMatch(/^ {2}keys create <app> +create an API key and its digest$/m);
    expect(out).toMatch(/^ {2}ranges list\|unblock +list and unblock/m);
  });

  it.each([[['--help']], [['-h']], [['help']]])('lists the commands: %j', async (args) => {
    const { code, out } = await run(args);
    expect(code).toBe(0);
    for (const command of commands) expect(out).toMatch(new RegExp(`^  ${command.split(' ')[0]}\\b`, 'm'));
  });

  it('of a group lists its commands, also after a wrong call', async () => {
    expect((await run(['ranges', '--help'])).out).toMatch(/^ {2}list .*[\s\S]*^ {2}unblock <app> <range> /m);
    expect(await run(['ranges'])).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringContaining('  list '),
    });
    expect(await run([])).toMatchObject({ code: 1, out: '', err: expect.stringContaining('  worker') });
  });

  it('--version prints the version', async () => {
    expect(await run(['--version'])).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    });
  });
});

describe('a wrong command line', () => {
  it.each([
    [['sned', '+60123456789'], "unknown command 'sned', did you mean send?\nSee isms-otp --help.\n"],
    [['wroker', '--help'], "unknown command 'wroker', did you mean worker?\nSee isms-otp --help.\n"],
    [['help', 'wroker'], "unknown command 'wroker', did you mean worker?\nSee isms-otp --help.\n"],
    [['ranges', 'lst'], "unknown command 'lst', did you mean list?\nSee isms-otp ranges --help.\n"],
    [['toString'], "unknown command 'toString'\nSee isms-otp --help.\n"],
    [['worker', '--jsno'], "unknown option '--jsno'\nSee isms-otp worker --help.\n"],
    [['doctor', '--jsno'], "unknown option '--jsno', did you mean --json?\nSee isms-otp doctor --help.\n"],
    [
      ['numbers', 'unlock', 'shop'],
      "missing required argument 'number'\nSee isms-otp numbers unlock --help.\n",
    ],
    [
      ['ranges', 'list', 'x'],
      "too many arguments for 'list'. Expected 0 arguments but got 1.\nSee isms-otp ranges list --help.\n",
    ],
  ])('%j exits 1 before settings are read', async (args, err) => {
    expect(await run(args)).toMatchObject({ code: 1, out: '', err });
  });

  it('of a command that uses a gateway exits 2 with a suggestion, also as JSON', async () => {
    const text =
      "isms-otp: unknown option '--refernce', did you mean --reference? (usage): see isms-otp send --help\n";
    expect(await run(['send', '1', '--refernce', 'r'])).toMatchObject({ code: 2, out: '', err: text });
    const { code, err } = await run(['send', '1', '--refernce', 'r', '--json']);
    expect(code).toBe(2);
    expect(JSON.parse(err)).toMatchObject({ error: { code: 'usage' } });
  });

  it.each([...renamedCommands])('`%s` names its new name, `%s`', async (formerly, now) => {
    const err = `isms-otp ${formerly} was renamed to isms-otp ${now}.\n`;
    expect(await run([...formerly.split(' '), '--json'])).toMatchObject({ code: 1, out: '', err });
    expect(commands).toContain(now);
  });
});

describe('completion', () => {
  const script = async (shell: string) => (await run(['completion', shell])).out;

  it('bash completes commands, options and words', async () => {
    const bash = await script('bash');
    const syntax = spawnSync('bash', ['-n'], { input: bash, encoding: 'utf8' });
    expect(syntax).toMatchObject({ status: 0, stderr: '' });
    const completed = (...words: string[]) => {
      const typed = ['isms-otp', ...words].map((word) => `'${word}'`).join(' ');
      const ask = `COMP_WORDS=(${typed}); COMP_CWORD=${words.length}; _isms_otp; echo "\${COMPREPLY[*]}"`;
      return spawnSync('bash', ['-c', `${bash}\n${ask}`], { encoding: 'utf8' }).stdout.trim();
    };
    expect(completed('b')).toBe('bulk batches balance');
    expect(completed('w')).toBe('worker webhooks');
    expect(completed('ranges', '')).toBe('list unblock');
    expect(completed('ranges', 'list', '--')).toBe('--json --help');
    expect(completed('send', '+601', '--id')).toBe('--idempotency-key');
    expect(completed('config', 'validate', 'w')).toBe('worker');
    expect(completed('completion', 'f')).toBe('fish');
  });

  it.each(['zsh', 'fish'])('%s accepts its script, if it is installed', async (shell) => {
    const text = await script(shell);
    for (const command of commands) expect(text).toContain(command.split(' ')[0]);
    expect(text).toContain('idempotency-key');
    const { status, error } = spawnSync(shell, ['-n'], { input: text, encoding: 'utf8' });
    if (!error) expect(status).toBe(0);
  });

  it('prints the script as JSON with --json', async () => {
    const { json } = await run(['completion', 'fish', '--json']);
    expect(json()).toEqual({ shell: 'fish', script: (await script('fish')).trimEnd() });
  });
});
