import type { Command } from 'commander';

/** Shells that `isms-otp completion` supports. */
export const shells = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof shells)[number];

/** What can follow a command: options, and words such as the names of its commands. */
interface Completable {
  /** Words of the command, such as `numbers unlock`; empty for `isms-otp` itself. */
  path: string;
  options: readonly string[];
  words: readonly string[];
}

/** Returns the script by which a shell completes commands, options and file names. */
export function completionScript(shell: Shell, program: Command): string {
  return scripts[shell](completables(program));
}

/** Lists commands for completion, longer paths first. */
function completables(command: Command, path: readonly string[] = []): Completable[] {
  const own = {
    path: path.join(' '),
    options: command
      .createHelp()
      .visibleOptions(command)
      .flatMap(({ long }) => long ?? []),
    words: [
      ...command.commands.map((one) => one.name()),
      ...(path.length === 0 ? ['help'] : []),
      ...command.registeredArguments.flatMap(({ argChoices = [] }) => argChoices),
    ],
  };
  return [...command.commands.flatMap((one) => completables(one, [...path, one.name()])), own];
}

const scripts: Record<Shell, (commands: readonly Completable[]) => string> = {
  bash: (commands) => `# eval "$(isms-otp completion bash)"
_isms_otp() {
  local word="\${COMP_WORDS[COMP_CWORD]}" options="" words=""
  case "\${COMP_WORDS[*]:1:COMP_CWORD-1} " in
${cases(commands, ({ options, words }) => `options="${options.join(' ')}" words="${words.join(' ')}"`)}
  esac
  case "$word" in
    -*) words="$options" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _isms_otp isms-otp`,

  zsh: (commands) => `#compdef isms-otp
# source <(isms-otp completion zsh)
_isms_otp() {
  local -a options next
  case "\${words[2,CURRENT-1]} " in
${cases(commands, ({ options, words }) => `options=(${options.join(' ')}) next=(${words.join(' ')})`)}
  esac
  if [[ $words[CURRENT] == -* ]]; then
    compadd -- $options
  elif (( $#next )); then
    compadd -- $next
  else
    _files
  fi
}
compdef _isms_otp isms-otp`,

  fish: (commands) =>
    `# isms-otp completion fish | source
function __isms_otp_after
  set -l typed (commandline -opc)
  set -e typed[1]
  string match -q -- "$argv[1]" "$typed "
end
${commands
  .flatMap(({ path, options, words }) => {
    const after = `complete -c isms-otp -n '__isms_otp_after "${path} ${words.length === 0 ? '*' : ''}"'`;
    return [
      ...options.map((option) => `${after} -l ${option.replace(/^--/, '')}`),
      ...(words.length === 0 ? [] : [`${after} -f -a '${words.join(' ')}'`]),
    ];
  })
  .join('\n')}`,
};

/** A case for the typed words of each command; the root, whose path is empty, matches only the empty line. */
function cases(commands: readonly Completable[], assign: (command: Completable) => string): string {
  return commands
    .map((command) => `    "${command.path} "${command.path === '' ? '' : '*'}) ${assign(command)} ;;`)
    .join('\n');
}
