import { z } from 'zod';
import type { UnknownReason } from '../otp/outcome.js';
import { type Refusal, refusalByCode, refusalBySentence, refusalByText } from './reply-table.js';

/**
 * A body after parsing. `good`: what the schema asked for and nothing else. `failed`: the provider says so; `message`
 * may hold anything.
 * `code`: a bare error code, or a bare sentence about the account. `unreadable`: nothing that the provider documents.
 */
export type Reply<T> =
  | { kind: 'good'; value: T }
  | { kind: 'failed'; refusal: Refusal; message: string }
  | { kind: 'code'; refusal: Refusal; message: string }
  | { kind: 'unreadable'; reason: UnknownReason };

const failed = z.object({
  status: z.string().refine((status) => status.trim().toLowerCase() === 'failed'),
  message: z.coerce.string().optional().catch(undefined),
  code: z.coerce.string().optional().catch(undefined),
});

/**
 * Parses a body against the schema of its call. The good schema has to name what it needs, so that the code
 * in the reply ends here; a failed reply carries ids and a code too, of which only a negative code is read: an OTP's
 * code has no sign.
 */
export function parseReply<T>(text: string, good: z.ZodType<T>): Reply<T> {
  if (text.trim() === '') return { kind: 'unreadable', reason: 'reply_empty' };
  const json = parseJson(text);
  const bare = bareText(text, json);
  if (bare !== null) return parseBare(bare, json);
  const refused = failed.safeParse(json);
  if (refused.success) {
    return { kind: 'failed', refusal: failure(refused.data), message: refused.data.message ?? '' };
  }
  const parsed = good.safeParse(json);
  if (parsed.success) return { kind: 'good', value: parsed.data };
  return { kind: 'unreadable', reason: 'reply_wrong_shape' };
}

/** Undefined when it is no JSON; the parser's error would quote the text. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A body that is a text rather than an object: as it stands, or as a JSON string or number. */
function bareText(text: string, json: unknown): string | null {
  if (json === undefined) return text;
  return typeof json === 'string' || typeof json === 'number' ? String(json) : null;
}

function parseBare(bare: string, json: unknown): Reply<never> {
  const refusal = refusalByCode(bare) ?? refusalBySentence(bare);
  if (refusal) return { kind: 'code', refusal, message: bare };
  return { kind: 'unreadable', reason: json === undefined ? 'reply_not_json' : 'reply_wrong_shape' };
}

function failure({ code = '', message = '' }: z.infer<typeof failed>): Refusal {
  return refusalByCode(code) ?? refusalByText(message) ?? { failure: 'rejected' };
}
