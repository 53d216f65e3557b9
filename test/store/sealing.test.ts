import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createSealer } from '../../src/store/sealing.js';

const [oldKey, newKey] = [randomBytes(32), randomBytes(32)];
const sealer = createSealer([oldKey]);

describe('seal', () => {
  it('gives back what was sealed, and shows none of it', () => {
    const sealed = sealer.seal('otp_1', 'a text');
    expect(sealer.open('otp_1', sealed)).toBe('a text');
    expect(Buffer.from(sealed, 'base64url').toString('latin1')).not.toContain('text');
    expect(sealer.seal('otp_1', 'a text')).not.toBe(sealed);
  });

  it('opens under no other id, nor after any change', () => {
    const sealed = sealer.seal('otp_1', 'a text');
    expect(() => sealer.open('otp_2', sealed)).toThrow();
    const bytes = Buffer.from(sealed, 'base64url');
    for (let i = 0; i < bytes.length; i++) {
      const changed = Buffer.from(bytes);
      changed[i] = (changed[i] ?? 0) ^ 1;
      expect(() => sealer.open('otp_1', changed.toString('base64url'))).toThrow();
    }
  });

  it('opens under a key that no longer encrypts, and says so when the key is gone', () => {
    const sealed = sealer.seal('otp_1', 'a text');
    expect(createSealer([newKey, oldKey]).open('otp_1', sealed)).toBe('a text');
    expect(() => createSealer([newKey]).open('otp_1', sealed)).toThrow(/DATA_KEY/);
  });
});

describe('hashes', () => {
  it('differ by purpose, text and key; the current key’s comes first', () => {
    const rotated = createSealer([newKey, oldKey]);
    expect(rotated.hashes('a', 'x')[1]).toBe(sealer.hashes('a', 'x')[0]);
    const all = [sealer.hashes('a', 'x'), sealer.hashes('b', 'x'), sealer.hashes('a', 'y')].map(
      ([hash]) => hash,
    );
    expect(new Set([...all, rotated.hashes('a', 'x')[0]]).size).toBe(4);
  });
});
