import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createEncrypter } from '../../src/store/encryption.js';

const [oldKey, newKey] = [randomBytes(32), randomBytes(32)];
const encrypter = createEncrypter([oldKey]);

describe('encrypt', () => {
  it('gives back what was encrypted, and shows none of it', () => {
    const encrypted = encrypter.encrypt('otp_1', 'a text');
    expect(encrypter.decrypt('otp_1', encrypted)).toBe('a text');
    expect(Buffer.from(encrypted, 'base64url').toString('latin1')).not.toContain('text');
    expect(encrypter.encrypt('otp_1', 'a text')).not.toBe(encrypted);
  });

  it('opens under no other id, nor after any change', () => {
    const encrypted = encrypter.encrypt('otp_1', 'a text');
    expect(() => encrypter.decrypt('otp_2', encrypted)).toThrow();
    const bytes = Buffer.from(encrypted, 'base64url');
    for (let i = 0; i < bytes.length; i++) {
      const changed = Buffer.from(bytes);
      changed[i] = (changed[i] ?? 0) ^ 1;
      expect(() => encrypter.decrypt('otp_1', changed.toString('base64url'))).toThrow();
    }
  });

  it('opens under a key that no longer encrypts, and says so when the key is gone', () => {
    const encrypted = encrypter.encrypt('otp_1', 'a text');
    expect(createEncrypter([newKey, oldKey]).decrypt('otp_1', encrypted)).toBe('a text');
    expect(() => createEncrypter([newKey]).decrypt('otp_1', encrypted)).toThrow(/ENCRYPTION_KEYS/);
  });
});

describe('hashes', () => {
  it('differ by purpose, text and key; the current key’s comes first', () => {
    const rotated = createEncrypter([newKey, oldKey]);
    expect(rotated.hashes('a', 'x')[1]).toBe(encrypter.hashes('a', 'x')[0]);
    const all = [encrypter.hashes('a', 'x'), encrypter.hashes('b', 'x'), encrypter.hashes('a', 'y')].map(
      ([hash]) => hash,
    );
    expect(new Set([...all, rotated.hashes('a', 'x')[0]]).size).toBe(4);
  });
});
