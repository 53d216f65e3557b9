import type { BatchOtp } from './schemas.js';

/** Columns of the export; those after `failure` may become more. */
const columns: Record<string, (otp: BatchOtp) => string | number | null> = {
  index: ({ index }) => index,
  id: ({ id }) => id,
  to: ({ to }) => to,
  reference: ({ reference }) => reference,
  status: ({ status }) => status,
  createdAt: ({ createdAt }) => createdAt,
  sentAt: ({ sentAt }) => sentAt,
  expiresAt: ({ expiresAt }) => expiresAt,
  uuid: ({ uuid }) => uuid,
  smsId: ({ smsId }) => smsId,
  credits: ({ credits }) => credits,
  failure: ({ failure }) => failure?.code ?? null,
};

/**
 * OTPs as comma-separated values with a line of column names (RFC 4180). What a spreadsheet would compute has an
 * apostrophe in front; a phone number in E.164 computes to itself and stays as it is.
 */
export async function* batchOtpsCsv(groups: AsyncIterable<BatchOtp[]>): AsyncGenerator<string> {
  yield line(Object.keys(columns));
  for await (const otps of groups) {
    yield otps.map((otp) => line(Object.values(columns).map((column) => column(otp)))).join('');
  }
}

function line(values: readonly (string | number | null)[]): string {
  return `${values.map((value) => field(String(value ?? ''))).join(',')}\r\n`;
}

/** CSV injection (OWASP): a cell that begins so is computed where it is opened. */
const formula = /^(?!\+\d+$)[=+\-@\t\r]/;

/** Spreadsheets split at semicolons where the comma is the decimal point. */
function field(value: string): string {
  const text = formula.test(value) ? `'${value}` : value;
  return /[",;\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
