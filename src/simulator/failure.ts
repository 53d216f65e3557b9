/**
 * Every reason the simulator turns a call down: the text of the reply and, where the vendor's SMS API has one,
 * its number. Only `authentication_failed` and `incorrect_code` are texts the vendor documents for 2FA.
 */
export const failures = {
  unknown_error: { code: -1000, text: 'Unknown Error' },
  authentication_failed: { code: -1001, text: 'Authentication Failed' },
  account_suspended: { code: -1002, text: 'Account Suspended or Expired' },
  ip_not_allowed: { code: -1003, text: 'IP Not Allowed' },
  insufficient_credits: { code: -1004, text: 'Insufficient Credits' },
  invalid_type: { code: -1005, text: 'Invalid SMS Type' },
  invalid_length: { code: -1006, text: 'Invalid Body Length' },
  missing_parameter: { code: -1008, text: 'Missing Parameter' },
  invalid_number: { code: -1009, text: 'Invalid Destination Number' },
  unicode_needs_type_2: { code: -1012, text: 'Unicode Text Needs Type 2' },
  missing_placeholder: { code: null, text: 'Message Without %OTP%' },
  invalid_sender_id: { code: null, text: 'Invalid Sender ID' },
  invalid_interval: { code: null, text: 'Invalid Interval' },
  incorrect_code: { code: null, text: 'Incorrect OTP Code' },
  expired_code: { code: null, text: 'OTP Code Expired' },
  unknown_ids: { code: null, text: 'Invalid UUID or SMS ID' },
} as const;

export type Failure = keyof typeof failures;

/**
 * How a reason is worded: `text` alone, `code` and text, or the `bare` number as the whole body. The vendor
 * documents the first; the other two are known from its other APIs.
 */
export const failureStyles = ['text', 'code', 'bare'] as const;

export type FailureStyle = (typeof failureStyles)[number];

/** The reason as one line; reasons without a number are always text. */
export function failureLine(failure: Failure, style: FailureStyle): string {
  const { code, text } = failures[failure];
  return style === 'text' || code === null ? text : `${code} ${text}`;
}

/** The whole body of a reply when the style is `bare`, null when the reply is JSON. */
export function bareBody(failure: Failure, style: FailureStyle): string | null {
  const { code } = failures[failure];
  return style === 'bare' && code !== null ? String(code) : null;
}
