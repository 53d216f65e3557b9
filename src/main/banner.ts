interface BannerOptions {
  apiUrl: string;
  /** The simulator's inbox; null when a real iSMS account is used. */
  inboxUrl: string | null;
  /** Secrets made for development, which may be shown; null for those that the environment brought. */
  apiKey: string | null;
  admin: { username: string; password: string } | null;
}

/** What `npm start` prints when all is up: where to look, and two lines that send and verify an OTP. */
export function banner({ apiUrl, inboxUrl, apiKey, admin }: BannerOptions): string {
  const key = apiKey ?? '<your API key>';
  const call = `curl -s -H 'Authorization: Bearer ${key}' -H 'Content-Type: application/json'`;
  const login = admin ? `${admin.username} / ${admin.password}` : 'your own';
  const to = inboxUrl ? '+60123456789' : '<your number>';
  return [
    '',
    '  isms-otp-gateway is running.',
    '',
    `  API         ${apiUrl}   (documentation: ${apiUrl}/docs)`,
    `  API key     ${key}`,
    `  Admin       ${apiUrl}/admin   (login: ${login})`,
    inboxUrl
      ? `  SMS inbox   ${inboxUrl}   (the iSMS simulator: nothing leaves this machine)`
      : '  iSMS        your account: every OTP is a real SMS and costs credits',
    '',
    '  Send an OTP:',
    `    ${call} -H 'Prefer: wait=10' -d '{"to":"${to}"}' ${apiUrl}/v1/otps`,
    '',
    `  Verify it, with ID from the answer and CODE from the ${inboxUrl ? 'inbox' : 'SMS'}:`,
    `    ${call} -d '{"code":"CODE"}' ${apiUrl}/v1/otps/ID/verify`,
    '',
    '  Ctrl-C stops everything; the data stays in .data/.',
    ...(inboxUrl
      ? ['  Only the simulator forgets: codes that it sent before cannot be verified after a restart.']
      : []),
    '',
    '',
  ].join('\n');
}
