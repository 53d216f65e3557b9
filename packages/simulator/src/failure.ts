/**
 * Every reason to refuse a call: the text of the reply and, where the SMS API of iSMS has them, code and sentence
 * (https://www.isms.com.my/response_result.php). iSMS documents only `authentication_failed` and `incorrect_code` for 2FA.
 */
export const failures = {
  unknown_error: {
    code: -1000,
    text: 'Unknown Error',
    sentence: 'Unknown error. Please contact the administrator.',
  },
  authentication_failed: {
    code: -1001,
    text: 'Authentication Failed',
    sentence: 'Your username or password are incorrect.',
  },
  account_suspended: {
    code: -1002,
    text: 'Account Suspended or Expired',
    sentence: 'Your account has been expired or suspended. Please contact the administrator.',
  },
  ip_not_allowed: {
    code: -1003,
    text: 'IP Not Allowed',
    sentence: 'Your IP is not allowed to send SMS. Please contact the administrator.',
  },
  insufficient_credits: {
    code: -1004,
    text: 'Insufficient Credits',
    sentence: 'You have run out of credits. Please reload your credits.',
  },
  invalid_type: { code: -1005, text: 'Invalid SMS Type', sentence: 'Your SMS type is not supported.' },
  invalid_length: {
    code: -1006,
    text: 'Invalid Body Length',
    sentence: 'Your SMS body has exceed the length. Max limit = 700',
  },
  missing_parameter: {
    code: -1008,
    text: 'Missing Parameter',
    sentence: 'One or more required parameters are missing.',
  },
  invalid_number: { code: -1009, text: 'Invalid Destination Number', sentence: 'Invalid number' },
  unicode_needs_type_2: {
    code: -1012,
    text: 'Unicode Text Needs Type 2',
    sentence: 'Message contain unicode and please use type=2 for Unicode',
  },
  missing_placeholder: { code: null, text: 'Message Without %OTP%' },
  invalid_sender_id: { code: null, text: 'Invalid Sender ID' },
  invalid_interval: { code: null, text: 'Invalid Interval' },
  incorrect_code: { code: null, text: 'Incorrect OTP Code' },
  expired_code: { code: null, text: 'OTP Code Expired' },
  unknown_ids: { code: null, text: 'Invalid UUID or SMS ID' },
} as const;

export type Failure = keyof typeof failures;

/** A reason, or a text that the gateway does not know. */
export type Refusal = Failure | { words: string };

/**
 * Wording of a reason: its `text`, its `sentence`, `code` and text, or the `bare` code as the whole body. iSMS documents
 * the first; the others are those of its other APIs.
 */
export const failureStyles = ['text', 'sentence', 'code', 'bare'] as const;

export type FailureStyle = (typeof failureStyles)[number];

/** The reason as one line; reasons without a code are always text. */
export function failureLine(refusal: Refusal, style: FailureStyle): string {
  if (typeof refusal === 'object') return refusal.words;
  const failure = failures[refusal];
  if (style === 'sentence') return 'sentence' in failure ? failure.sentence : failure.text;
  const { code, text } = failure;
  return style === 'text' || code === null ? text : `${code} ${text}`;
}

/** The whole body of a reply when the style is `bare`, null when the reply is JSON. */
export function bareBody(refusal: Refusal, style: FailureStyle): string | null {
  if (typeof refusal === 'object') return null;
  const { code } = failures[refusal];
  return style === 'bare' && code !== null ? String(code) : null;
}
