import * as z from 'zod';

/** Documentation of a variable. */
interface Variable {
  name: string;
  meaning: string;
  /** Never shown, and can also come from the file that `NAME_FILE` names. */
  secret?: true;
}

/** Which variable stands behind a part of the schema. */
const variables = z.registry<Variable>();

/** Gives a part of the schema the name of its variable and its documentation. Throws for a part that has one already. */
export function variable<S extends z.ZodType>(
  name: string,
  schema: S,
  documentation: Omit<Variable, 'name'>,
): S {
  if (variables.has(schema)) throw new Error(`${name} needs a schema of its own`);
  variables.add(schema, { name, ...documentation });
  return schema;
}

/** One variable and its place in Config. */
export interface Setting extends Variable {
  path: readonly string[];
  /** What its text must be. */
  expected: string;
  /** Its text when it is unset; undefined when it then stays unset. */
  fallback: string | undefined;
}

/** Every variable of a schema, in the order it stands there. */
export function settingsOf(schema: z.core.$ZodType, path: readonly string[] = []): Setting[] {
  const variable = variables.get(schema);
  if (variable) return [{ ...variable, path, ...readFormat(schema) }];
  if (isWrapped(schema)) return settingsOf(schema.unwrap(), path);
  if (!(schema instanceof z.ZodObject)) return [];
  return Object.entries<z.core.$ZodType>(schema.shape).flatMap(([key, part]) =>
    settingsOf(part, [...path, key]),
  );
}

function readFormat(schema: z.core.$ZodType): Pick<Setting, 'expected' | 'fallback'> {
  const inner = isWrapped(schema) ? schema.unwrap() : schema;
  return {
    expected: z.globalRegistry.get(inner)?.description ?? '',
    fallback: schema instanceof z.ZodPrefault ? String(schema.def.defaultValue) : undefined,
  };
}

function isWrapped(schema: z.core.$ZodType): schema is z.ZodOptional | z.ZodPrefault {
  return schema instanceof z.ZodOptional || schema instanceof z.ZodPrefault;
}
