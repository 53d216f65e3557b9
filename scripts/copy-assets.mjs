// Copies what the compiler leaves behind (Lua sources, the browser's scripts) into a build's directory: dist/ if none is
// named.
import { cp } from 'node:fs/promises';

const [directory = 'dist'] = process.argv.slice(2);
for (const folder of ['store/lua', 'api/admin/browser']) {
  await cp(`src/${folder}`, `${directory}/${folder}`, { recursive: true });
}
// The version is read from the package.json beside the build.
if (directory !== 'dist') await cp('package.json', `${directory}/../package.json`);
