import { z } from 'zod';
import { isoTime } from '../../lib/time.js';
import { type Otp, statuses, transitions } from '../../otp/otp.js';
import { PhoneNumber } from '../../otp/phone-number.js';
import { passes } from '../../store/otp-list.js';
import type { ApiDependencies } from '../dependencies.js';
import { instantParam, invalidRequest } from '../http/request.js';
import { cursorSchema, otpPage } from '../otp-pages.js';
import { otpView, skipUnreadable } from '../routes/otps.js';
import { findBatch } from './overview-batches.js';

const shownAtATime = 50;

export const searchSchema = z.strictObject({
  /** Id of an OTP or a batch, reference or phone number; without it, the OTPs of an app are listed. */
  query: z.string().trim().max(200).default(''),
  app: z.string().max(64).optional(),
  status: z.enum(statuses).optional(),
  since: instantParam.optional(),
  until: instantParam.optional(),
  cursor: cursorSchema.optional(),
});

type Dependencies = Pick<ApiDependencies, 'store' | 'settings' | 'apps' | 'slices'>;

/** Finds a batch or OTPs for the operator, newest first. `next`: cursor of further OTPs. */
export async function search(
  dependencies: Dependencies,
  { query, app, cursor: after, ...filter }: z.output<typeof searchSchema>,
) {
  const { store } = dependencies;
  if (query === '') {
    const asked = { ...filter, after, limit: shownAtATime };
    const { otps, next } = await otpPage(dependencies, app ?? onlyApp(dependencies), asked);
    return { otps: otps.map(maskedView), batch: null, next };
  }
  const batch = await findBatch(store, query);
  if (batch) return { otps: [], batch, next: null };
  const byId = await store.otps.findOfAnyApp(query).catch(skipUnreadable);
  const found = byId
    ? [byId]
    : await Promise.all([ofNumber(dependencies, query), ofReference(dependencies, query)]);
  const otps = [...new Map(found.flat().map((otp) => [otp.id, otp])).values()]
    .filter((otp) => (app === undefined || otp.app === app) && passes(otp, filter))
    .sort((a, b) => b.createdAt - a.createdAt);
  return { otps: otps.map(maskedView), batch: null, next: null };
}

function onlyApp({ apps }: Pick<Dependencies, 'apps'>): string {
  const [first, second] = apps.all();
  if (first && !second) return first.name;
  const message = 'is required to list OTPs without an id, reference or number';
  throw invalidRequest({ path: 'app', message });
}

/** The newest OTPs of each app to a number. */
async function ofNumber({ store, settings }: Dependencies, query: string): Promise<Otp[]> {
  const to = PhoneNumber.parse(query, settings.defaultCountry);
  const ids = to ? (await store.phones.known(to)).flatMap(({ otpIds }) => otpIds) : [];
  const found = await Promise.all(ids.map((id) => store.otps.findOfAnyApp(id).catch(skipUnreadable)));
  return found.filter((otp) => otp !== null);
}

async function ofReference({ store, apps }: Dependencies, query: string): Promise<Otp[]> {
  const found = await Promise.all(
    apps.all().map(({ name }) => store.otps.findByReference(name, query).catch(skipUnreadable)),
  );
  return found.flatMap((otps) => otps ?? []);
}

/** An OTP for the operator: the number is masked, the app's reference left out. */
export function maskedView(otp: Otp) {
  const { reference: _reference, ...view } = otpView(otp);
  return {
    ...view,
    app: otp.app,
    to: otp.to.masked,
    verifiedAt: otp.verifiedAt === null ? null : isoTime(otp.verifiedAt),
    attempts: { used: otp.maxAttempts - otp.attemptsRemaining, of: otp.maxAttempts },
    canBeCancelled: transitions[otp.status].includes('cancelled'),
  };
}
