import type { Request, Response } from 'express';
import { z } from 'zod';
import { readJson } from './body.js';
import { contextOf, type RequestEnd } from './context.js';
import { parseInput } from './input.js';
import type { ProblemCode } from './problems.js';

/** What a route answers when all went well. */
export interface Answer {
  status: number;
  headers?: Record<string, string>;
  /** Text goes out as it is, what comes bit by bit as it comes, anything else as JSON. */
  body?: string | AsyncIterable<string> | object | undefined;
}

/** A good answer, as the documentation shows it. */
export interface DocumentedAnswer {
  description: string;
  /** Names of headers, and what they say. */
  headers?: Record<string, string>;
  /** A named JSON body, or the media type of another one. */
  body?: NamedBody | { mediaType: string };
}

/** A JSON body by the name of its schema. */
export interface NamedBody<S extends z.ZodType = z.ZodType> {
  name: string;
  schema: S;
  example: unknown;
  /** Other media types of the same, such as newline-delimited JSON: what each of their records is. */
  records?: { mediaTypes: readonly string[]; name: string; schema: z.ZodType };
}

/** What a request is made of, and how much of it is read. */
export interface RequestBody<S extends z.ZodType = z.ZodType> extends NamedBody<S> {
  /** Whether there may be none. */
  optional?: true;
  /** What the schema is given; by default all of a JSON body of at most 16 KiB. */
  read?: (req: Request) => Promise<unknown>;
}

/** Everything about a route but its code: what the router, the OpenAPI document and the page are made from. */
export interface RouteFacts {
  method: 'get' | 'post' | 'delete';
  /** In OpenAPI's notation: `/v1/otps/{id}`. Those under `/v1` need a key. */
  path: string;
  operationId: string;
  tag: string;
  summary: string;
  description: string;
  answers: Record<number, DocumentedAnswer>;
  problems: readonly ProblemCode[];
  /** Counts a request of a known app that is over, however it ended. */
  ended?: (end: RequestEnd) => void;
}

/** What a route is called with; all of it checked. */
export interface RouteInput<B, Q, H> {
  app: string;
  /** `{id}` of the path, empty where there is none. */
  id: string;
  body: B;
  query: Q;
  headers: H;
  /** The one of these media types that the client likes best; empty when it likes none. */
  accepts(mediaTypes: readonly string[]): string;
  /** Notes in the log and the audit trail which OTP this was about. */
  setOtpId(otpId: string): void;
  /** The same of a batch. */
  setBatchId(batchId: string): void;
  /** Aborts when the client is gone, or the answer must not wait any longer. */
  gone(withinMs?: number): AbortSignal;
}

export interface Route extends RouteFacts {
  body: RequestBody | null;
  query: z.ZodObject | null;
  headers: z.ZodObject | null;
  run(req: Request, res: Response): Promise<Answer>;
}

const nothing = z.strictObject({});

/** Makes a route of its facts, the schemas of its input (names of headers as in HTTP) and its code. */
export function defineRoute<
  B extends z.ZodType = z.ZodUndefined,
  Q extends z.ZodObject = typeof nothing,
  H extends z.ZodObject = typeof nothing,
>(
  definition: RouteFacts & {
    body?: RequestBody<B>;
    query?: Q;
    headers?: H;
    handle(input: RouteInput<z.output<B>, z.output<Q>, z.output<H>>): Promise<Answer>;
  },
): Route {
  const { body = null, query = null, headers = null, handle, ...facts } = definition;
  return {
    ...facts,
    body,
    query,
    headers,
    run: async (req, res) => {
      const context = contextOf(res);
      return await handle({
        app: context.app ?? '',
        id: String(req.params['id'] ?? ''),
        query: parseInput<z.ZodType>(query ?? z.unknown(), req.query) as z.output<Q>,
        headers: parseHeaders<z.ZodType>(headers ?? z.unknown(), req) as z.output<H>,
        body: (body && parseInput(body.schema, await (body.read ?? readJson)(req))) as z.output<B>,
        accepts: (mediaTypes) => req.accepts([...mediaTypes]) || '',
        setOtpId: (otpId) => {
          context.otpId = otpId;
        },
        setBatchId: (batchId) => {
          context.batchId = batchId;
        },
        gone: (withinMs) => abortSignal(res, withinMs),
      });
    },
  };
}

/** The headers that a schema names, checked by it. */
export function parseHeaders<S extends z.ZodType>(schema: S, req: Request): z.output<S> {
  const names = schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
  const values = names.map((name) => [name, req.get(name)] as const);
  return parseInput(schema, Object.fromEntries(values.filter(([, value]) => value !== undefined)));
}

/** Aborts when the client is gone, or after `withinMs`. `AbortSignal.any` would forget a time-out that nobody holds. */
export function abortSignal(res: Response, withinMs?: number): AbortSignal {
  const controller = new AbortController();
  const abort = () => controller.abort();
  // A client that reset at once is gone already, and says so no more.
  if (res.closed) abort();
  else res.once('close', abort);
  if (withinMs !== undefined && !controller.signal.aborted) {
    const timer = setTimeout(abort, withinMs);
    controller.signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
  }
  return controller.signal;
}
