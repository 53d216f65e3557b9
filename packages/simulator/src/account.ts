import type { Failure, Refusal } from './failure.js';
import { defaultSettings, parseUpdate, type Settings, type SettingsUpdate } from './settings.js';

/** The simulated iSMS account: its settings, what stands against using it, and its credits. */
export interface Account {
  readonly settings: Readonly<Settings>;
  /** Changes some settings; throws a RangeError that lists every problem if any of them is wrong. */
  change(update: SettingsUpdate): void;
  /** What makes iSMS turn every call away, if anything does. */
  trouble(): Failure | null;
  /** The same, and the words in which sends and verifications are refused. */
  refusal(): Refusal | null;
  /** Takes the price of an SMS off, or says why it may not be sent. */
  charge(credits: number): Failure | null;
  /** The two strings of a balance reply. */
  balance(): { balance: string; expiration: string };
}

/** Opens an account; throws a RangeError when the settings are wrong. */
export function createAccount(initial: SettingsUpdate, now: () => number): Account {
  const settings = defaultSettings(now());
  let endsAt = endOf(settings.expiresOn);

  const change = (input: SettingsUpdate) => {
    const parsed = parseUpdate(input);
    if ('problems' in parsed) throw new RangeError(parsed.problems.join('; '));
    Object.assign(settings, parsed.update);
    endsAt = endOf(settings.expiresOn);
  };
  change(initial);

  const usable = () =>
    settings.trouble === 'insufficient_credits' || now() >= endsAt ? 0 : settings.credits;
  const trouble = () => (settings.trouble === 'insufficient_credits' ? null : settings.trouble);
  return {
    settings,
    change,
    trouble,
    refusal: () => (settings.refusal === null ? trouble() : { words: settings.refusal }),
    charge(credits) {
      if (now() >= endsAt) return 'account_suspended';
      if (usable() < credits) return 'insufficient_credits';
      settings.credits -= credits;
      return null;
    },
    balance: () => ({ balance: usable().toFixed(1), expiration: printDate(settings.expiresOn) }),
  };
}

/** Malaysia keeps UTC+8 all year. */
function endOf(expiresOn: string | null): number {
  return expiresOn === null ? Infinity : Date.parse(`${expiresOn}T00:00:00+08:00`) + 86_400_000;
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

function printDate(expiresOn: string | null): string {
  if (expiresOn === null) return '';
  const [year, month, day] = expiresOn.split('-');
  return `${day} ${months[Number(month) - 1]} ${year}`;
}
