// Copies what the compiler leaves behind (Lua sources, the browser's scripts, Swagger UI) into a build's directory: dist/ if
// none is named.
import { cp } from 'node:fs/promises';

const [directory = 'dist'] = process.argv.slice(2);
for (const folder of ['store/lua', 'api/admin/browser', 'api/docs/browser']) {
  await cp(`src/${folder}`, `${directory}/${folder}`, { recursive: true });
}
for (const file of [
  'swagger-ui.css',
  'swagger-ui-bundle.js',
  'swagger-ui-bundle.js.LICENSE.txt',
  'LICENSE',
  'NOTICE',
]) {
  await cp(`node_modules/swagger-ui-dist/${file}`, `${directory}/api/docs/swagger-ui/${file}`);
}
// The version is read from the package.json beside the build.
if (directory !== 'dist') await cp('package.json', `${directory}/../package.json`);
