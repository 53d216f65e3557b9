import { createCipheriv, createDecipheriv, createHmac, hkdfSync } from 'node:crypto';
import { dayMs } from '../lib/time.js';
import { nextRandom } from '../otp/otp-id.js';

const nonceBytes = 12;
const tagBytes = 16;
const keyIdBytes = 4;
const headerBytes = keyIdBytes + 2;
const cachedKeys = 64;

/** A text was encrypted with a key that is not in ENCRYPTION_KEYS; another process may have it. */
export class MissingEncryptionKey extends Error {
  constructor() {
    super('no key in ENCRYPTION_KEYS opens this record: was a key removed too early?');
  }
}

/** Keyed hashes of a text, one per encryption key, the current one first. */
export type KeyedHashes = readonly [string, ...string[]];

/** What is kept secret in Redis, and how it is found again without being read. */
export type Encrypter = ReturnType<typeof createEncrypter>;

/**
 * `encryptionKeys`: 32 bytes each; the first encrypts, all decrypt. Working keys are derived by HKDF (RFC 5869) per
 * purpose, and for encryption per day as well, so that no key sees enough random nonces for two to meet.
 */
export function createEncrypter(encryptionKeys: readonly [Buffer, ...Buffer[]]) {
  const derive = derivedKeys();
  const keyIdOf = (key: Buffer) => derive(key, 'key id').subarray(0, keyIdBytes);
  const byId = new Map(encryptionKeys.map((key) => [keyIdOf(key).toString('hex'), key]));
  const [current] = encryptionKeys;
  return {
    /** AES-256-GCM under the first encryption key; `id` is bound to it, so it opens under no other id. Base64url. */
    encrypt: (id: string, plaintext: string) => {
      const day = Math.floor(Date.now() / dayMs);
      const nonce = nextRandom(nonceBytes);
      const cipher = createCipheriv('aes-256-gcm', derive(current, `encrypt ${day}`), nonce);
      cipher.setAAD(Buffer.from(id));
      const text = cipher.update(plaintext, 'utf8');
      cipher.final();
      const header = Buffer.allocUnsafe(headerBytes);
      derive(current, 'key id').copy(header, 0, 0, keyIdBytes);
      header.writeUInt16BE(day, keyIdBytes);
      return Buffer.concat([header, nonce, cipher.getAuthTag(), text]).toString('base64url');
    },
    /** Throws MissingEncryptionKey when no encryption key fits, and something else when text or id were changed. */
    decrypt: (id: string, encrypted: string) => {
      const bytes = Buffer.from(encrypted, 'base64url');
      const key = byId.get(bytes.subarray(0, keyIdBytes).toString('hex'));
      if (!key) throw new MissingEncryptionKey();
      const nonce = bytes.subarray(headerBytes, headerBytes + nonceBytes);
      const tag = bytes.subarray(headerBytes + nonceBytes, headerBytes + nonceBytes + tagBytes);
      const dayKey = derive(key, `encrypt ${bytes.readUInt16BE(keyIdBytes)}`);
      const decipher = createDecipheriv('aes-256-gcm', dayKey, nonce, { authTagLength: tagBytes });
      decipher.setAAD(Buffer.from(id));
      decipher.setAuthTag(tag);
      const text = bytes.subarray(headerBytes + nonceBytes + tagBytes);
      return decipher.update(text, undefined, 'utf8') + decipher.final('utf8');
    },
    /** Whether it was encrypted under the first encryption key. */
    isCurrent: (encrypted: string) =>
      keyIdOf(current).equals(Buffer.from(encrypted.slice(0, 8), 'base64url').subarray(0, keyIdBytes)),
    /** HMAC-SHA256 of a text for one purpose: 22 characters of Base64url, 132 bits. */
    hashes: (purpose: string, text: string): KeyedHashes => {
      const short = (key: Buffer) =>
        createHmac('sha256', derive(key, `hash ${purpose}`))
          .update(text)
          .digest('base64url')
          .slice(0, 22);
      return [short(current), ...encryptionKeys.slice(1).map(short)];
    },
  };
}

function derivedKeys() {
  const caches = new WeakMap<Buffer, Map<string, Buffer>>();
  return (key: Buffer, info: string): Buffer => {
    const cache = caches.get(key) ?? new Map<string, Buffer>();
    caches.set(key, cache);
    const cached = cache.get(info);
    if (cached) return cached;
    if (cache.size >= cachedKeys) cache.clear();
    const derived = Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), `isms-otp-gateway ${info}`, 32));
    cache.set(info, derived);
    return derived;
  };
}
