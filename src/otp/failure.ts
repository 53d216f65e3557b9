/** Why an OTP did not go well: a stable code for programs, and a sentence for people that says what to do. */
export const failureMessages = {
  not_sent_in_time: 'It could not be sent before its deadline, so it was dropped. Request a new one.',
  provider_unreachable:
    'iSMS could not be reached in any of the retries, so nothing was sent. Request a new one.',
  outcome_unknown:
    'iSMS gave no usable answer, so an SMS may have gone out whose code cannot be verified. Offer to send again.',
  invalid_number: 'iSMS refused the phone number. Ask for another one.',
  message_refused: 'iSMS refused the message: its length, encoding or content. Change the message.',
  insufficient_credits:
    'iSMS refused it for lack of credits, though the balance could pay it. Check the iSMS account.',
  rejected: 'iSMS refused to send it and gave no reason that we know. Check the iSMS account.',
} as const;

export type FailureCode = keyof typeof failureMessages;
