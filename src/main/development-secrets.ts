import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

const schema = z.object({
  encryptionKey: z.string(),
  apiKey: z.string(),
  adminPassword: z.string(),
  redisPassword: z.string(),
});

/** Secrets of `npm start`, made at its first run and kept, since data at rest needs its key again. */
export type DevelopmentSecrets = z.infer<typeof schema>;

const ownerOnly = 0o600;
const ownerOnlyDirectory = 0o700;

/** Reads `secrets.json` in `directory`, or makes it, readable by its owner alone. */
export async function developmentSecrets(directory: string): Promise<DevelopmentSecrets> {
  const file = join(directory, 'secrets.json');
  await mkdir(directory, { recursive: true, mode: ownerOnlyDirectory });
  const kept = await readFile(file, 'utf8').catch(() => null);
  if (kept !== null) return schema.parse(JSON.parse(kept));
  const made: DevelopmentSecrets = {
    encryptionKey: randomBytes(32).toString('base64'),
    apiKey: `dev_${randomBytes(18).toString('base64url')}`,
    adminPassword: randomBytes(15).toString('base64url'),
    redisPassword: randomBytes(18).toString('base64url'),
  };
  await writeFile(file, `${JSON.stringify(made, null, 2)}\n`, { mode: ownerOnly, flag: 'wx' });
  return made;
}
