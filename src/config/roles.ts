import * as z from 'zod';
import { schema } from './schema.js';
import { type Setting, settingsOf } from './variables.js';

const redisAndKeys = { redisUrl: true, encryptionKeys: true } as const;

/** The settings that each role requires: the one table for the loader, the types and the documentation. */
const roles = {
  api: schema
    .required({ ...redisAndKeys, account: true })
    .refine(({ apiKeys, appsFile }) => apiKeys !== undefined || appsFile !== undefined, {
      path: ['apiKeys'],
      // Also when other settings are wrong.
      when: () => true,
    }),
  worker: schema.required({ ...redisAndKeys, account: true }),
  /** Commands on the stored data, such as `numbers unlock`. */
  operator: schema.required(redisAndKeys),
  /** `createOtpProducer` in an app, which may bring a connection of its own. */
  producer: schema.required({ encryptionKeys: true }),
  simulate: schema,
  /** Requires nothing: `start` makes what is missing, `doctor` reports it. */
  start: schema,
};

/** What an environment is read for. */
export type Role = keyof typeof roles;

/** Config of a role: the required settings are present. */
export type ConfigFor<R extends Role> = z.output<(typeof roles)[R]>;

/** The schema that the environment of each role is parsed with. */
export const schemas: { readonly [R in Role]: z.ZodType<ConfigFor<R>> } = roles;

/** Config without required settings. */
export type Config = z.output<typeof schema>;

/** Every setting, with the roles that require it. */
export const settings = settingsOf(schema).map((setting) => ({
  ...setting,
  requiredBy: requiredBy(setting),
}));

function requiredBy(setting: Setting): string[] {
  const requires = (shape: Record<string, z.core.$ZodType>) =>
    shape[setting.path[0] ?? ''] instanceof z.ZodNonOptional;
  return Object.entries(roles).flatMap(([role, { shape }]) => (requires(shape) ? [role] : []));
}
