import { z } from 'zod';
import { statuses } from '../../otp/otp.js';
import { batchOfId } from '../../otp/otp-id.js';
import { purposeSchema, referenceSchema } from '../../producer/otp-request.js';
import { passes } from '../../store/otp-list.js';
import type { ApiDependencies } from '../dependencies.js';
import { sentOtp } from '../docs/examples.js';
import { ApiProblem } from '../http/problem.js';
import { instantParam, limitParam } from '../http/request.js';
import { defineRoute, type Route } from '../http/route.js';
import { cursorSchema, mostRead, otpGroups, otpPage } from '../otp-pages.js';
import { type AppSlots, ndjson, ndjsonOf, slotsPerApp } from './bulk.js';
import { otpView } from './otps.js';
import { otpListSchema, otpSchema } from './schemas.js';

const json = 'application/json';

const querySchema = z
  .strictObject({
    status: z.enum(statuses).optional().describe('Only OTPs that have this status now.'),
    purpose: purposeSchema.optional().describe('Only OTPs with this purpose.'),
    reference: referenceSchema
      .optional()
      .describe('Only OTPs with this reference: the newest `limit`, at most 100. `next` is always null.'),
    batch: z
      .string()
      .refine((id) => batchOfId(id) !== null, 'must be the id of a batch')
      .optional()
      .describe('Only OTPs of this batch, last lines first.'),
    since: instantParam.optional().describe('Only OTPs accepted since then.'),
    until: instantParam.optional().describe('Only OTPs accepted before then.'),
    cursor: cursorSchema
      .optional()
      .describe('`next` of the previous page; the other parameters stay the same.'),
    limit: limitParam(500, 100).describe(
      'JSON: OTPs on a page, at most 500. NDJSON holds all OTPs from `cursor` on.',
    ),
  })
  .refine(({ reference, batch, cursor }) => reference === undefined || !(batch ?? cursor), {
    error: 'cannot be combined with `batch` and `cursor`',
    path: ['reference'],
  })
  .refine(({ batch, cursor }) => !cursor || 'line' in cursor === (batch !== undefined), {
    error: 'must be `next` of the previous page of the same list',
    path: ['cursor'],
  });

/** List an app's OTPs. */
export function listOtps(
  options: Pick<ApiDependencies, 'store' | 'slices'> & { exportSlots: AppSlots },
): Route {
  const { store, exportSlots } = options;
  return defineRoute({
    method: 'get',
    path: '/v1/otps',
    operationId: 'listOtps',
    tag: 'OTPs',
    summary: 'List OTPs',
    description:
      `The app's OTPs that are still kept, newest first: a page as JSON, or all from \`cursor\` on as \`${ndjson}\`, by ` +
      `\`Accept\`. A request reads ${mostRead.toLocaleString('en')} OTPs at most, so with a filter that few OTPs pass, a page ` +
      'may be short or empty: go on until `next` is null. OTPs that are accepted meanwhile are on no later page. ' +
      `An app may run ${slotsPerApp} NDJSON and CSV exports at a time.`,
    query: querySchema,
    answers: {
      200: {
        description: 'The OTPs with their current status.',
        body: {
          name: 'OtpList',
          schema: otpListSchema,
          example: { otps: [sentOtp], next: 'NDg0NjQ0LjQ3MTEuMA' },
          records: { mediaTypes: [ndjson], name: 'Otp', schema: otpSchema },
        },
      },
    },
    problems: ['batch_not_found', 'not_acceptable', 'too_many_exports', 'queue_unavailable'],
    handle: async ({ app, query, accepts, abortSignal }) => {
      const { reference, cursor: after, limit, ...filter } = query;
      const mediaType = accepts([json, ndjson]);
      if (mediaType === '') throw new ApiProblem('not_acceptable');
      if (mediaType === ndjson) exportSlots.take(app, abortSignal());
      const { batch } = filter;
      const facts = batch === undefined ? null : await store.batches.facts(batchOfId(batch) ?? '');
      if (batch !== undefined && facts?.app !== app) throw new ApiProblem('batch_not_found');
      const ofReference = reference === undefined ? null : await store.otps.findByReference(app, reference);
      const found = ofReference?.filter((otp) => passes(otp, filter));
      if (mediaType === ndjson) {
        const groups = found ? [found] : otpGroups(options, app, { ...filter, after });
        return { status: 200, headers: { 'Content-Type': ndjson }, body: ndjsonOf(groups, otpView) };
      }
      const { otps, next } = found
        ? { otps: found.slice(0, limit), next: null }
        : await otpPage(options, app, { ...filter, after, limit });
      return { status: 200, body: { otps: otps.map(otpView), next } };
    },
  });
}
