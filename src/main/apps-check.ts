import type { App } from '../otp/app.js';
import type { AppRegistry } from './apps.js';
import type { CommandOutput } from './output.js';

/** What APPS_FILE means, an app a line. */
export function describeApps(apps: AppRegistry): CommandOutput {
  const named = apps.named();
  const keys = apps.keys();
  const data = named.map((app) => ({
    ...summary(app),
    keys: keys.filter((key) => key.app === app.name).length,
  }));
  const text = data.map(
    ({ app, keys, templates, locales, freeText, webhook, testNumbers }) =>
      `${app.padEnd(32)}  ${keys} key(s), ${templates.length} template(s) in ${locales.join(', ') || 'no language'}, ` +
      `${freeText ? 'free text' : 'templates only'}${webhook ? ', a webhook' : ''}, ${testNumbers} test number(s)`,
  );
  return { text: text.length === 0 ? 'APPS_FILE names no app.' : text.join('\n'), data };
}

function summary({ name, templates, freeText, webhook, testNumbers }: App) {
  return {
    app: name,
    templates: [...templates.keys()],
    locales: [...new Set([...templates.values()].flatMap((template) => [...template.keys()]))],
    freeText,
    webhook: webhook !== null,
    testNumbers: testNumbers.size,
  };
}
