import type { Template, Variable } from '../../src/otp/template.js';

/** A template with texts by language. */
export function template(texts: Record<string, string>, variables: Record<string, Variable> = {}): Template {
  return { texts: new Map(Object.entries(texts)), variables: new Map(Object.entries(variables)) };
}
