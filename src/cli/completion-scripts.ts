import type { CommandWords } from './command.js';

/** A shell that completes what people type. */
export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

/** What a command can be completed with: its flags, or words that stand where no flag does. */
export interface Completable extends CommandWords {
  words?: readonly string[];
}

const writers: Record<Shell, (commands: readonly Completable[]) => string> = {
  bash: (commands) => `# eval "$(isms-otp completion bash)"
_isms_otp() {
  local word="\${COMP_WORDS[COMP_CWORD]}" flags="" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${namesOf(commands)}" -- "$word"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${commands.map(({ name, flags, words = [] }) => `    ${name}) flags="${flags.join(' ')}" words="${words.join(' ')}" ;;`).join('\n')}
  esac
  case "$word" in
    -*) words="$flags" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _isms_otp isms-otp`,

  zsh: (commands) => `#compdef isms-otp
# source <(isms-otp completion zsh)
_isms_otp() {
  local -a flags words_here
  if (( CURRENT == 2 )); then
    compadd -- ${namesOf(commands)}
    return
  fi
  case $words[2] in
${commands.map(({ name, flags, words = [] }) => `    ${name}) flags=(${flags.join(' ')}) words_here=(${words.join(' ')}) ;;`).join('\n')}
  esac
  if [[ $words[CURRENT] == -* ]]; then
    compadd -- $flags
  elif (( $#words_here )); then
    compadd -- $words_here
  else
    _files
  fi
}
compdef _isms_otp isms-otp`,

  fish: (commands) =>
    [
      '# isms-otp completion fish | source',
      `complete -c isms-otp -n __fish_use_subcommand -f -a '${namesOf(commands)}'`,
      ...commands.flatMap(({ name, flags, words = [] }) => {
        const after = `complete -c isms-otp -n '__fish_seen_subcommand_from ${name}'`;
        return [
          ...flags.map((flag) => `${after} -l ${flag.replace(/^--/, '')}`),
          ...(words.length === 0 ? [] : [`${after} -f -a '${words.join(' ')}'`]),
        ];
      }),
    ].join('\n'),
};

/** A script by which a shell completes these commands, their flags, and names of files. */
export function scriptFor(shell: Shell, commands: readonly Completable[]): string {
  return writers[shell](commands);
}

function namesOf(commands: readonly CommandWords[]): string {
  return commands.map(({ name }) => name).join(' ');
}
