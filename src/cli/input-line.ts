import type { OtpInput } from 'isms-otp-client';

/** An OTP of a file. */
export interface InputLine {
  /** From 1: of CSV the row as spreadsheets number it, the header being the first one. */
  line: number;
  otp: OtpInput;
}
