// Copies what the compiler leaves behind (the Lua sources) into a build's directory: dist/ if none is named.
import { cp } from 'node:fs/promises';

const [directory = 'dist'] = process.argv.slice(2);
await cp('src/store/lua', `${directory}/store/lua`, { recursive: true });
