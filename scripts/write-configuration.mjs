// Writes docs/configuration.md and docs/apps.schema.json from the schemas, as they were last built.
import { writeFile } from 'node:fs/promises';
import { appsJsonSchema } from '../dist/config/apps-file.js';
import { configurationMarkdown } from '../dist/config/documentation.js';

await writeFile(new URL('../docs/configuration.md', import.meta.url), configurationMarkdown());
const schema = `${JSON.stringify(appsJsonSchema(), null, 2)}\n`;
await writeFile(new URL('../docs/apps.schema.json', import.meta.url), schema);
