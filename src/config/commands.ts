import * as z from 'zod';
import { schema } from './schema.js';
import { type Setting, settingsOf } from './variables.js';

/** What each command cannot start without: the one table of it, for the loader, the types and the documentation. */
const commands = {
  api: schema
    .required({ redisUrl: true, encryptionKeys: true, account: true })
    .refine(({ apiKeys, appsFile }) => apiKeys !== undefined || appsFile !== undefined, {
      path: ['apiKeys'],
      // Whatever else is wrong.
      when: () => true,
    }),
  worker: schema.required({ redisUrl: true, encryptionKeys: true, account: true }),
  /** Not a command: what `createOtpProducer` needs; its connection may be the app's. */
  producer: schema.required({ encryptionKeys: true }),
  simulate: schema,
  'check-config': schema,
  unlock: schema.required({ redisUrl: true, encryptionKeys: true }),
  ranges: schema.required({ redisUrl: true, encryptionKeys: true }),
  'forget-range': schema.required({ redisUrl: true, encryptionKeys: true }),
  restored: schema.required({ redisUrl: true, encryptionKeys: true }),
  audit: schema.required({ redisUrl: true, encryptionKeys: true }),
  person: schema.required({ redisUrl: true, encryptionKeys: true }),
  erase: schema.required({ redisUrl: true, encryptionKeys: true }),
  'resend-webhooks': schema.required({ redisUrl: true, encryptionKeys: true }),
};

export type Command = keyof typeof commands;

/** Config as a command gets it: what the command requires is there. */
export type ConfigFor<C extends Command> = z.output<(typeof commands)[C]>;

/** The schema that each command parses its environment with. */
export const schemas: { readonly [C in Command]: z.ZodType<ConfigFor<C>> } = commands;

/** Config of which nothing is certain beyond the defaults. */
export type Config = z.output<typeof schema>;

/** Every variable there is. */
export const settings = settingsOf(schema);

/** The commands that cannot start without this variable. */
export function requiredBy(setting: Setting): string[] {
  const requires = (shape: Record<string, z.core.$ZodType>) =>
    shape[setting.path[0] ?? ''] instanceof z.ZodNonOptional;
  return Object.entries(commands).flatMap(([command, { shape }]) => (requires(shape) ? [command] : []));
}
