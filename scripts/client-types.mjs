import { compile } from 'json-schema-to-typescript';

const ofClient =
  /^(?:Otp(?:Request|Status|Failure|Counts)?|Verified|VerifyByNumberRequest|Batch(?:Change|Otp|Status|WaitReason)?|Upload\w+|Balance(?:Snapshot)?|Stats(?:Row)?|\w+Code|\w+EventData|BatchEndData)$/;

/** The client's types of the API: TypeScript of the document's schemas, with their descriptions. */
export async function clientTypes(document) {
  const schemas = Object.fromEntries(
    Object.entries(document.components.schemas).filter(([name]) => ofClient.test(name)),
  );
  const definitions = JSON.parse(
    JSON.stringify(schemas).replaceAll('#/components/schemas/', '#/definitions/'),
    plain,
  );
  const root = { definitions, type: 'object', additionalProperties: false };
  const text = await compile(root, 'Root', {
    ...{ unreachableDefinitions: true, additionalProperties: false },
    bannerComment: '// Generated from docs/openapi.json by `npm run docs:write`; do not edit.\n',
    style: { singleQuote: true, printWidth: 110 },
  });
  return (
    text
      .replace('export interface Root {}\n', '')
      .replaceAll(/ \*\n \* This interface was referenced by [^*]*\*[^*]* "\w+"\.\n/g, '')
      .replaceAll(/\{\n\s*\[k: string\]: (\w+);\n\s*\}/g, 'Record<string, $1>')
      // A member that is left out may also be undefined.
      .replaceAll(/\?: (.*);$/gm, '?: $1 | undefined;')
      .replaceAll(/\/\*\*\n\s*\* (.*)\n\s*\*\//g, '/** $1 */')
  );
}

/** A reference with a description of its own, as the compiler takes it for the same type. */
function plain(_key, value) {
  const { $ref, description, ...others } = value ?? {};
  return $ref && description ? { description, allOf: [{ $ref }], ...others } : value;
}
