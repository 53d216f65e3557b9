import { type Answer, page, reply } from './answer.js';
import { type Failure, failures } from './failure.js';

/** What the simulator does for one of its numbers. */
export interface Behaviour<Name extends string = string> {
  /** E.164: a valid Malaysian mobile number, so that it passes an app's own checks. */
  number: string;
  /** Name, for `failureNumbers` and the setting `errorKind`. */
  name: Name;
  /** Whether an SMS goes out and is charged. */
  sms: boolean;
  /** One sentence for the documentation and the inbox page. */
  does: string;
  /** Reason for which the send is refused. */
  refusal?: Failure;
  /** Applies to every other send call to the number, from the first on; the others are normal. */
  everyOther?: true;
  /** Answer to a send call, given the normal body. */
  send?: (body: string) => Answer;
  /** Answer to a verify call, given the normal body. */
  verify?: (body: string) => Answer;
}

type Head<Name> = [lastDigits: string, name: Name, does: string];

/** Target of the redirect; calls to it are counted, since no client should follow it with credentials. */
export const redirectTarget = '/2FA/redirected.php';

/** More than the 64 KiB that the gateway reads. */
const hugePadding = ' '.repeat(256 * 1024);

const hang = (): Answer => ({ kind: 'hang' });
const reset = (): Answer => ({ kind: 'reset' });
const tooMany = () => page(429, 'Too Many Requests', { 'retry-after': '1' });
const redirect = () => page(302, 'Found', { location: redirectTarget });

const stopsAll = ' Pauses sending for all apps: account trouble.';
const forThisOtp = ' Fails this OTP alone, after a second call: the balance is sufficient.';

const table = [
  { ...head(['00', 'normal', 'Sends the SMS and says so.']), sms: true },
  refused('01', 'insufficient_credits', 'insufficient_credits', forThisOtp),
  refused('02', 'invalid_number', 'invalid_number'),
  refused('03', 'authentication_failed', 'authentication_failed', stopsAll),
  refused('04', 'account_suspended', 'account_suspended', stopsAll),
  refused('05', 'ip_not_allowed', 'ip_not_allowed', stopsAll),
  refused('06', 'failed', 'unknown_error'),

  unsent(['10', 'hang_before_sms', 'Never answers.'], hang),
  unsent(['11', 'reset_before_sms', 'Resets the connection.'], reset),
  unsent(['12', 'too_many_requests', 'HTTP 429 with `Retry-After: 1`.'], tooMany),
  unsent(['13', 'redirect', `HTTP 302 to \`${redirectTarget}\`, where calls are counted.`], redirect),
  unsent(['14', 'html_200', 'HTTP 200 with a maintenance page.'], () => page(200, 'Under maintenance')),

  sent(['20', 'hang_after_sms', 'Never answers.'], hang),
  sent(['21', 'reset_after_sms', 'Resets the connection.'], reset),
  sent(['22', 'truncated_json', 'A complete HTTP reply with half of the JSON.'], (body) =>
    reply(body.slice(0, body.length / 2)),
  ),
  sent(['23', 'cut_off', 'Half of the reply, then a reset.'], (body) => ({ kind: 'cut_off', body })),
  sent(['24', 'html_502', 'HTTP 502 with a web page.'], () => page(502, 'Bad Gateway')),
  sent(['25', 'empty_body', 'HTTP 200 with nothing in it.'], () => reply('')),
  sent(['26', 'wrong_shape', 'A `Success` without usable ids.'], () =>
    reply('{"status":"Success","uuid":null,"sms_id":[]}'),
  ),
  sent(['27', 'huge_reply', 'A good reply behind 256 KiB of blanks.'], (body) => reply(hugePadding + body)),
  sent(['28', 'trickle', 'A good reply, one byte a second.'], (body) => ({ kind: 'trickle', body })),

  sent(['30', 'slow', 'A good reply after 5 seconds.'], (body) => ({ kind: 'slow', body })),
  everyOther(unsent(['31', 'too_many_requests_once', 'HTTP 429'], tooMany)),
  everyOther(sent(['32', 'reset_after_sms_once', 'Resets the connection'], reset)),

  verified(['40', 'verify_500', 'HTTP 500'], () => page(500, 'Internal Server Error')),
  verified(['41', 'verify_hang', 'no answer'], hang),
  verified(['42', 'verify_reset', 'a reset connection'], reset),
  verified(['43', 'verify_wrong_shape', 'a status that is neither `Verified` nor `Failed`'], () =>
    reply('{"status":"OK","verified":true}'),
  ),
];

/** Name of a number that the simulator treats specially. */
export type BehaviourName = (typeof table)[number]['name'];

/** Every number that the simulator treats specially; page, documentation and endpoint use this table. */
export const behaviours: readonly Behaviour<BehaviourName>[] = table;

/** These numbers by name (E.164), as in `failureNumbers.invalid_number`. */
export const failureNumbers = Object.fromEntries(
  behaviours.map(({ name, number }) => [name, number]),
) as Readonly<Record<BehaviourName, string>>;

const byNumber = new Map<string, Behaviour>(behaviours.map((behaviour) => [behaviour.number, behaviour]));
const byName = new Map<string, Behaviour>(behaviours.map((behaviour) => [behaviour.name, behaviour]));

/** The behaviour of a number (E.164); undefined for normal numbers. */
export function behaviourOf(mobile: string): Behaviour | undefined {
  return byNumber.get(mobile);
}

/** The behaviour of that name, undefined if there is none. */
export function behaviourNamed(name: string): Behaviour | undefined {
  return byName.get(name);
}

/** Values of the setting `errorKind`. */
export const errorKinds: readonly string[] = behaviours
  .filter(({ send, refusal, everyOther }) => (send || refusal) && !everyOther)
  .map(({ name }) => name);

function head<const Name extends string>([lastDigits, name, does]: Head<Name>) {
  return { number: `+601900000${lastDigits}`, name, does };
}

function refused<const Name extends string>(
  lastDigits: string,
  name: Name,
  refusal: Failure,
  more = '',
): Behaviour<Name> {
  const does = `\`Failed\`: ${failures[refusal].text}.${more}`;
  return { ...head([lastDigits, name, does]), sms: false, refusal };
}

function unsent<const Name extends string>(
  text: Head<Name>,
  send: (body: string) => Answer,
): Behaviour<Name> {
  return { ...head(text), sms: false, send };
}

function sent<const Name extends string>(text: Head<Name>, send: (body: string) => Answer): Behaviour<Name> {
  return { ...head(text), sms: true, send };
}

function everyOther<const Name extends string>(behaviour: Behaviour<Name>): Behaviour<Name> {
  const does = `${behaviour.does} on every other call, the first included; normal on the rest.`;
  return { ...behaviour, does, everyOther: true };
}

function verified<const Name extends string>(
  [lastDigits, name, what]: Head<Name>,
  verify: (body: string) => Answer,
): Behaviour<Name> {
  return { ...head([lastDigits, name, `The send is normal; verify calls get ${what}.`]), sms: true, verify };
}
