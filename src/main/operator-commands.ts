/** By how many arguments each of the operator's commands is called, and what they are. */
export const operatorCommands = {
  unlock: ['<app>', '<phone number>'],
  ranges: [],
  'forget-range': ['<app>', '<range>'],
  'resend-webhooks': [],
  restored: [],
  audit: ['<since>', '<until>'],
  person: ['<phone number>'],
  erase: ['<phone number>'],
} as const;

/** One of them. */
export type OperatorCommand = keyof typeof operatorCommands;

/** Whether a word names one of these commands. */
export function isOperatorCommand(command: string): command is OperatorCommand {
  return Object.hasOwn(operatorCommands, command);
}
