import type { Otp } from '../../otp/otp.js';
import type { PhoneNumber } from '../../otp/phone-number.js';
import type { Store } from '../../store/store.js';

/** The newest OTPs of an app to a number with one purpose (null: those without one), the newest first. */
export async function otpsOfNumber(
  { phones, otps }: Pick<Store, 'phones' | 'otps'>,
  { app, to, purpose }: { app: string; to: PhoneNumber; purpose: string | null },
): Promise<Otp[]> {
  const ids = await phones.idsOfApp(app, to);
  const found = await Promise.all(ids.map((id) => otps.find(app, id)));
  return found
    .filter((otp) => otp !== null)
    .filter((otp) => otp.purpose === purpose)
    .sort((a, b) => b.createdAt - a.createdAt);
}
