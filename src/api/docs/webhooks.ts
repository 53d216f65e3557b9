import { type EventType, eventTypes } from '../../otp/event.js';
import type { EventData } from '../routes/schemas.js';
import { batchExample, sentOtp } from './examples.js';

const batch = { id: batchExample.id, app: 'shop', name: batchExample.name };
const examples: Record<EventData, object> = {
  OtpEventData: { id: sentOtp.id, app: 'shop', reference: sentOtp.reference, failure: null },
  BatchEventData: batch,
  BatchEndData: { ...batch, status: 'finished', lines: 2_000, counts: batchExample.counts },
  BalanceEventData: { credits: 81, expiresOn: '2025-04-29' },
  SendingEventData: { trouble: 'insufficient_credits', text: null },
  RangeEventData: { app: 'shop', range: '6017-555xxxx', enforced: true },
  ConversionEventData: { app: 'shop', country: 'MY', sent: 500, verified: 4 },
  BudgetEventData: {
    app: 'shop',
    period: 'day',
    budget: 1_000,
    used: 800,
    endsAt: '2025-04-02T00:00:00.000Z',
  },
};

/** The schema of each event's `data`, and what the event means. */
const events: Record<EventType, [EventData, string]> = {
  'otp.sent': ['OtpEventData', 'iSMS accepted the SMS'],
  'otp.failed': ['OtpEventData', 'iSMS refused the SMS, or all retries failed'],
  'otp.unknown': ['OtpEventData', 'An SMS may or may not have been sent'],
  'otp.verified': ['OtpEventData', 'A correct code'],
  'otp.expired': ['OtpEventData', 'Not verified in time, or never sent'],
  'otp.locked': ['OtpEventData', 'Too many wrong codes'],
  'batch.started': ['BatchEventData', 'The first OTPs of a batch were queued'],
  'batch.finished': ['BatchEndData', 'All OTPs of a batch were sent or given up'],
  'range.blocked': ['RangeEventData', 'The toll-fraud guard blocks a number range'],
  'conversion.low': ['ConversionEventData', 'Hardly any OTPs to a country are verified'],
  'budget.low': ['BudgetEventData', "80 % of an app's budget is used"],
  'budget.spent': ['BudgetEventData', "An app's budget is spent"],
  'balance.low': ['BalanceEventData', 'Credits are low'],
  'balance.expiring': ['BalanceEventData', 'Credits expire soon'],
  'sending.paused': ['SendingEventData', 'Trouble with the iSMS account begins'],
  'sending.resumed': ['SendingEventData', 'Trouble with the iSMS account ends'],
};

const headers = {
  'webhook-id': 'Id of the event, the same in every delivery: remember it for a day.',
  'webhook-timestamp': 'When this delivery was signed, in seconds since 1970.',
  'webhook-signature':
    'Signatures of the body, `v1,<base64>`, separated by spaces: verify one of them first.',
};

/** The `webhooks` of the OpenAPI document: how each event is delivered. */
export function documentedWebhooks() {
  return Object.fromEntries(eventTypes.map((type) => [type, { post: delivery(type) }]));
}

function delivery(type: EventType) {
  const [name, summary] = events[type];
  const data = { ...examples[name], ...(name === 'OtpEventData' && { status: type.slice('otp.'.length) }) };
  const properties = {
    type: { type: 'string', const: type, description: 'Type of the event.' },
    timestamp: {
      type: 'string',
      format: 'date-time',
      description: 'When it happened, UTC with milliseconds.',
    },
    data: { $ref: `#/components/schemas/${name}` },
  };
  const schema = { type: 'object', properties, required: Object.keys(properties) };
  const example = { value: { type, timestamp: '2025-04-01T08:00:01.300Z', data } };
  return {
    operationId: type.replace('.', '_'),
    tags: ['Webhooks'],
    summary,
    description: `Delivers \`${type}\` to the receiver in \`WEBHOOK_URL\` or the apps file (Standard Webhooks).`,
    security: [],
    parameters: Object.entries(headers).map(([header, description]) => {
      return { name: header, in: 'header', required: true, description, schema: { type: 'string' } };
    }),
    requestBody: { required: true, content: { 'application/json': { schema, examples: { example } } } },
    responses: {
      '204': { description: 'Received. Every 2xx counts; another status or none within 15 s is retried.' },
      '410': { description: 'No further attempts for this event.' },
    },
  };
}
