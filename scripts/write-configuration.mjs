// Writes docs/configuration.md from the schema, as it was last built.
import { writeFile } from 'node:fs/promises';
import { configurationMarkdown } from '../dist/config/documentation.js';

await writeFile(new URL('../docs/configuration.md', import.meta.url), configurationMarkdown());
