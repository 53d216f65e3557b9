// Copies what the compiler leaves behind (the Lua sources) into dist/.
import { cp } from 'node:fs/promises';

await cp('src/store/lua', 'dist/store/lua', { recursive: true });
