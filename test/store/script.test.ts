import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { luaSource } from '../../src/store/script.js';
import { policy } from '../support/otps.js';
import { connect } from '../support/redis.js';

const redis = await connect();
const names = readdirSync('src/store/lua', { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.lua'))
  .map((path) => path.replace(/\.lua$/, ''));
const textOf = (name: string) => readFileSync(`src/store/lua/${name}.lua`, 'utf8');
const matchesOf = (name: string, pattern: RegExp) =>
  [...textOf(name).matchAll(pattern)].map(([, match]) => match);
const commandsOf = (name: string) => matchesOf(name, /^--- @command (.+)$/gm);
const included = new Set(names.flatMap((name) => matchesOf(name, /@include "(.+)"/g)));
const functions = names.flatMap((name) => {
  const commands = commandsOf(name).map((command) => `${name}#${command}`);
  return commands.length > 0 || included.has(name) ? commands : [name];
});

describe('luaSource', () => {
  it('throws for a policy value that does not exist', () => {
    const { sendLeaseMs: _, ...incomplete } = policy;
    expect(() => luaSource('otp/claim', incomplete)).toThrow(
      'lua/otp/claim.lua: there is no POLICY.sendLeaseMs',
    );
  });

  it('includes each file once, also where several include it', () => {
    expect(luaSource('otp/admit', policy).match(/^local function now\(\)/gm)).toHaveLength(1);
  });

  it('throws for a command that does not exist', () => {
    expect(() => luaSource('limits/windows#taek')).toThrow(
      'lua/limits/windows.lua: there is no command taek',
    );
  });

  it('leaves the other commands of its file out', () => {
    expect(luaSource('limits/windows#take')).not.toMatch(/@command take-or-wait/);
  });

  it.each(functions)('%s compiles, and its header names KEYS', async (name) => {
    expect(await redis.script('LOAD', luaSource(name, policy))).toMatch(/^[0-9a-f]{40}$/);
    const [file = '', command] = name.split('#');
    const text = textOf(file);
    const own = command === undefined ? text : text.slice(text.indexOf(`--- @command ${command}\n`));
    const header = /^(?:---? .*\n)+/.exec(own)?.[0] ?? '';
    expect(header).toMatch(/KEYS/);
  });
});
