import { readFile } from 'node:fs/promises';
import { OtpClient } from 'isms-otp-client';
import type { Call } from './command.js';
import { CommandError } from './command-error.js';

const defaultUrl = 'http://127.0.0.1:3000';

/** Long enough to hear of a call in which the gateway itself waits for iSMS, in ms. */
const timeoutMs = 20_000;

/** The gateway that a call is about. */
export interface Gateway {
  url: string;
  client: OtpClient;
}

/** As settings and flags say it; throws a CommandError for settings that are missing or wrong. Connects to nothing. */
export async function gatewayOf({
  io: { env },
  ...call
}: Pick<Call<'url'>, 'io' | 'text'>): Promise<Gateway> {
  const url = call.text('url') ?? (env['ISMS_OTP_URL'] || defaultUrl);
  const apiKey = await keyOf(env);
  try {
    return {
      url: new URL(url).href.replace(/\/+$/, ''),
      client: new OtpClient({ baseUrl: url, apiKey, timeoutMs }),
    };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const aboutKey = error.message.startsWith('apiKey');
    throw aboutKey
      ? settingsError('The key must be visible ASCII characters, no spaces', 'see ISMS_OTP_KEY')
      : settingsError('The URL of the gateway is none', `write it as ${defaultUrl}: ISMS_OTP_URL or --url`);
  }
}

/** Never a flag: those show in `ps` and in the shell's history. */
async function keyOf(env: Call['io']['env']): Promise<string> {
  const [key, file] = [env['ISMS_OTP_KEY'], env['ISMS_OTP_KEY_FILE']];
  if (key && file)
    throw settingsError('ISMS_OTP_KEY and ISMS_OTP_KEY_FILE are both set', 'unset one of them');
  if (key) return key;
  if (!file) {
    const where = 'npm start prints one, the operator of a gateway gives them out';
    throw settingsError(
      'No key is set',
      `set ISMS_OTP_KEY, or ISMS_OTP_KEY_FILE, to a key of your app: ${where}`,
    );
  }
  return await readFile(file, 'utf8').then(
    (text) => text.trim(),
    () => {
      throw settingsError(
        'The file that ISMS_OTP_KEY_FILE names cannot be read',
        'see its path and its rights',
      );
    },
  );
}

function settingsError(problem: string, advice: string): CommandError {
  return new CommandError('settings', problem, advice);
}
