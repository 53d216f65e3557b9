import type { Failure, Refusal } from './failure.js';
import { defaultSettings, parseUpdate, type Settings, type SettingsUpdate } from './settings.js';

/** The simulated iSMS account: settings, trouble and credits. */
export interface Account {
  readonly settings: Readonly<Settings>;
  /** Changes some settings; throws a RangeError with all errors, and then changes none. */
  change(update: SettingsUpdate): void;
  /** Why every call is refused; null: it is not. */
  trouble(): Failure | null;
  /** Why every send and verify call is refused; null: it is not. */
  refusal(): Refusal | null;
  /** Charges an SMS; returns why it cannot be paid, or null. */
  charge(credits: number): Failure | null;
  /** The two strings of a balance reply. */
  balance(): { balance: string; expiration: string };
}

/** Creates an account; throws a RangeError for invalid settings. */
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
