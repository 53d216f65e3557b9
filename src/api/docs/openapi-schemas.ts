import { z } from 'zod';
import { type ProblemCode, problemCodes } from '../http/problems.js';
import type { NamedBody, Route } from '../http/route.js';
import type { Schema } from './openapi-types.js';

/** The shape of every error. */
export const problemSchema = z.looseObject({
  type: z.string().describe('Leads to the explanation on the documentation page.'),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.enum(problemCodes as [ProblemCode, ...ProblemCode[]]).describe('Stable: decide by this.'),
  errors: z
    .array(z.object({ path: z.string(), message: z.string() }))
    .optional()
    .describe('Every mistake in the input: where, and what must be.'),
});

/** A reference to a named schema. */
export function schemaReference(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

/** Schemas that routes name, and `Problem`; made from those that check the requests. */
export function componentSchemas(routes: readonly Route[]): Record<string, Schema> {
  const registry = z.registry<{ id: string }>();
  const names = new Set<string>();
  const add = (name: string, schema: z.ZodType) => {
    if (!names.has(name)) registry.add(schema, { id: name });
    names.add(name);
  };
  const addBody = ({ name, schema, records }: NamedBody) => {
    add(name, schema);
    if (records) add(records.name, records.schema);
  };
  for (const { body, answers } of routes) {
    if (body) addBody(body);
    for (const answer of Object.values(answers)) {
      if (answer.body && 'schema' in answer.body) addBody(answer.body);
    }
  }
  add('Problem', problemSchema);
  const { schemas } = z.toJSONSchema(registry, {
    io: 'input',
    uri: (id) => `#/components/schemas/${id}`,
    override: plainer,
  });
  return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, withoutIdentity(schema)]));
}

/** The members of an object schema as they are after reading, and which of them must be there. */
export function parameterSchemas(schema: z.ZodObject): { name: string; schema: Schema; required: boolean }[] {
  return Object.entries(schema.shape).map(([name, member]) => ({
    name,
    schema: withoutIdentity(z.toJSONSchema(member, { io: 'output', override: plainer })),
    required: !z.safeParse(member, undefined).success,
  }));
}

/** A format says what its pattern of several hundred characters says. */
function plainer({ jsonSchema }: { jsonSchema: z.core.JSONSchema.BaseSchema }): void {
  if (jsonSchema.format !== undefined) delete jsonSchema.pattern;
}

function withoutIdentity(schema: z.core.JSONSchema.BaseSchema): Schema {
  const { $schema: _dialect, $id: _id, ...rest } = schema;
  return rest as Schema;
}
