// Writes what of the documentation is made from schemas and tables, as they were last built.
import { writeFile } from 'node:fs/promises';
import { errorsMarkdown } from '../dist/api/docs/errors-markdown.js';
import { appsJsonSchema } from '../dist/config/apps-file.js';
import { configurationMarkdown } from '../dist/config/documentation.js';

const write = (name, text) => writeFile(new URL(`../docs/${name}`, import.meta.url), text);
await write('configuration.md', configurationMarkdown());
await write('apps.schema.json', `${JSON.stringify(appsJsonSchema(), null, 2)}\n`);
await write('errors.md', errorsMarkdown());
