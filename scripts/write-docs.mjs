// Generates pages of the documentation and the client's types from schemas and tables of the last build.
import { readFile, writeFile } from 'node:fs/promises';
import { apiRoutes } from '../dist/api/api.js';
import { openApiDocument } from '../dist/api/docs/openapi.js';
import { problems } from '../dist/api/http/problems.js';
import { appsJsonSchema } from '../dist/config/apps-file.js';
import { configurationMarkdown } from '../dist/config/documentation.js';
import { failureMessages } from '../dist/otp/otp.js';
import { clientTypes } from './client-types.mjs';
import { errorsMarkdown } from './errors-markdown.mjs';

const fileOf = (path) => new URL(`../${path}`, import.meta.url);
const write = (path, text) => writeFile(fileOf(path), text);
await write('docs/configuration.md', configurationMarkdown());
await write('docs/apps.schema.json', `${JSON.stringify(appsJsonSchema(), null, 2)}\n`);
await write('docs/errors.md', errorsMarkdown({ problems, failureMessages }));

/** Stands for the dependencies of the routes, none of which is called. */
const unused = new Proxy(() => unused, { get: () => unused });
/** The defaults in docs/configuration.md. */
const settings = {
  defaultMessage: 'Your {brand} verification code is %OTP%. Do not share it with anyone.',
  defaultCountry: 'MY',
  allowedCountries: ['MY'],
  ttlSeconds: 300,
  maxAttempts: 5,
  sendDeadlineSeconds: 120,
  bulkSendDeadlineSeconds: 3_600,
};
const { version } = JSON.parse(await readFile(fileOf('package.json'), 'utf8'));
const dependencies = new Proxy(
  { settings, version, admin: null, development: null },
  {
    get: (own, name) => (name in own ? own[name] : unused),
  },
);
const document = openApiDocument(apiRoutes(dependencies), version);
await write('docs/openapi.json', `${JSON.stringify(document, null, 2)}\n`);
await write('packages/client/src/api.ts', await clientTypes(document));
