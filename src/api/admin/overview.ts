import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type Request, type Response, Router } from 'express';
import { z } from 'zod';
import { statuses } from '../../otp/otp.js';
import { batchOfId } from '../../otp/otp-id.js';
import { setAppPaused } from '../../producer/app-pause.js';
import { batchMembers } from '../../producer/upload.js';
import type { ApiDependencies } from '../dependencies.js';
import { readJson } from '../http/body.js';
import { contextOf, type RequestContext } from '../http/context.js';
import { html, htmlPage } from '../http/html.js';
import { ApiProblem } from '../http/problem.js';
import { parseInput } from '../http/request.js';
import { notChanged } from '../routes/batches.js';
import { createCancel, skipUnreadable } from '../routes/otps.js';
import { otpPageOf } from './otp-page.js';
import { search, searchSchema } from './otp-search.js';
import { findBatch } from './overview-batches.js';
import { overviewOf } from './overview-data.js';
import { createWeeks } from './overview-weeks.js';

const querySchema = z.strictObject({
  hours: z
    .enum(['1', '6', '24', '168'])
    .default('6')
    .transform((hours) => Number(hours) as Parameters<typeof overviewOf>[1]['hours']),
});
const idSchema = z.strictObject({ id: z.string().max(64) });
const changeSchema = idSchema.extend({
  paused: z.boolean().optional(),
  perSecond: batchMembers.perSecond.unwrap().nullable().optional(),
});
const rangeSchema = z.strictObject({ app: z.string().max(64), range: z.string().max(32) });

/** The overview, at the root of the admin pages: state of the gateway, and search for an OTP or a batch. */
export function overviewPages(actions: boolean, dependencies: ApiDependencies): Router {
  const { store, batchQueue, version } = dependencies;
  const cancel = createCancel(dependencies);
  const weeks = createWeeks(dependencies);
  const assets = overviewAssets();
  const page = overviewPage(version, actions, assets.path);
  const router = Router({ caseSensitive: true, strict: true });
  router.get('/', (_req, res) => void res.set('Cache-Control', 'no-cache').send(page));
  router.get('/assets/:name', (req, res) => {
    const asset = assets.byName.get(req.params.name);
    if (!asset) throw new ApiProblem('not_found');
    // During a rolling update, one version may be asked for another version's file.
    const own = Object.hasOwn(req.query, assets.digest);
    const kept = own ? 'private, max-age=31536000, immutable' : 'no-store';
    res.set('Cache-Control', kept).type(asset.type).send(asset.text);
  });
  router.get('/overview.json', async (req, res) => {
    const { hours } = parseInput(querySchema, req.query);
    answer(res, await overviewOf(dependencies, { hours, weeks }));
  });
  router.post('/otps', async (req, res) => {
    answer(res, await search(dependencies, parseInput(searchSchema, await readJson(req))));
  });
  const posts = ['/otps'];
  /** A change by the operator, if actions are on. The audit log names it by `operation`; null: by its path. */
  const action = (
    path: string,
    operation: string | null,
    run: (req: Request, context: RequestContext) => Promise<unknown>,
  ) => {
    posts.push(path);
    router.post(path, async (req, res) => {
      const context = contextOf(res);
      context.operation = operation;
      if (!actions) throw new ApiProblem('action_not_offered');
      const body = await run(req, context);
      if (body) answer(res, body);
      else res.status(204).end();
    });
  };
  action('/otps/cancel', 'cancelOtp', async (req, context) => {
    const { id } = parseInput(idSchema, await readJson(req));
    const otp = await store.otps.findOfAnyApp(id).catch(skipUnreadable);
    if (!otp) throw new ApiProblem('otp_not_found');
    context.otpId = otp.id;
    const result = await cancel(otp.app, otp.id);
    if (result !== 'cancelled') throw new ApiProblem(result);
  });
  action('/ranges/forget', null, async (req) => {
    const { app, range } = parseInput(rangeSchema, await readJson(req));
    return { known: await store.ranges.forget(app, range.replace(/\D/g, '')) };
  });
  for (const verb of ['pause', 'resume']) {
    action(`/apps/:app/${verb}`, null, async (req) => {
      const app = String(req.params['app']);
      const isKnown = dependencies.apps.all().some(({ name }) => name === app);
      // One that lost its keys meanwhile can still be resumed.
      if (!isKnown && !(await store.appPauses.isPaused(app))) throw new ApiProblem('app_not_found');
      await setAppPaused(dependencies, app, verb === 'pause');
    });
  }
  const batchFor = async (id: string, context: RequestContext) => {
    const batch = await findBatch(store, id);
    if (!batch) throw new ApiProblem('batch_not_found');
    context.batchId = batch.id;
    return batch;
  };
  action('/batches/change', 'changeBatch', async (req, context) => {
    const { id, ...change } = parseInput(changeSchema, await readJson(req));
    const { app } = await batchFor(id, context);
    const result = await store.batches.update(app, id, change);
    if (result !== 'changed') throw notChanged(result);
    await batchQueue.wake(batchOfId(id) ?? '');
  });
  action('/batches/cancel', 'cancelBatch', async (req, context) => {
    const { id } = parseInput(idSchema, await readJson(req));
    const { app } = await batchFor(id, context);
    await store.batches.cancel(app, id);
    await batchQueue.wake(batchOfId(id) ?? '');
  });
  router.all(['/', '/assets/:name', '/overview.json'], refuseMethod('GET, HEAD'));
  router.all(posts, refuseMethod('POST'));
  router.get('/otps/:id', async (req, res) => {
    const found = await store.otps.findWithHistory(req.params.id).catch(skipUnreadable);
    if (!found) throw new ApiProblem('otp_not_found');
    contextOf(res).otpId = found.otp.id;
    res.set('Cache-Control', 'no-store').send(otpPageOf(found, assets.path));
  });
  router.all('/otps/:id', refuseMethod('GET, HEAD'));
  return router;
}

function answer(res: Response, body: unknown): void {
  res.set('Cache-Control', 'no-store').json(body);
}

function refuseMethod(allow: string) {
  return (_req: Request) => {
    throw new ApiProblem('method_not_allowed', { headers: { Allow: allow } });
  };
}

/** The page's own scripts, which import one another. */
const scripts = ['overview.js', 'apps.js', 'batches.js', 'charts.js', 'ui.js', 'weeks.js'];

/** Files that the page loads, and the digest in their addresses that lets browsers cache them. */
function overviewAssets() {
  const { resolve } = createRequire(import.meta.url);
  const read = (path: string | URL) => readFileSync(path, 'utf8');
  const own = (name: string) => read(new URL(`./browser/${name}`, import.meta.url));
  const js = (text: string) => ({ type: 'text/javascript', text });
  const css = (text: string) => ({ type: 'text/css', text });
  const byName = new Map<string, { type: string; text: string }>([
    ['uplot.js', js(read(resolve('uplot/dist/uPlot.iife.min.js')))],
    ['uplot.css', css(read(resolve('uplot/dist/uPlot.min.css')))],
    ['overview.css', css(own('overview.css'))],
    ...scripts.map((name) => [name, js(own(name))] as const),
  ]);
  const all = [...byName.values()].map(({ text }) => text).join('\n');
  const digest = createHash('sha256').update(all).digest('hex').slice(0, 12);
  for (const name of scripts) {
    const imports = /(?<=from '\.\/\w+\.js)(?=')/g;
    byName.set(name, js(own(name).replaceAll(imports, `?${digest}`)));
  }
  return { byName, digest, path: (name: string) => `/admin/assets/${name}?${digest}` };
}

/** The overview without its figures, which the page's script fetches every 15 s. */
function overviewPage(version: string, actions: boolean, asset: (name: string) => string): string {
  const tile = (id: string, title: string) => html`
    <div><dt>${title}</dt><dd id="${id}">–</dd><dd class="more" id="${id}-more">&nbsp;</dd></div>`;
  const chart = (id: string, title: string, more = '') => html`
    <figure><figcaption><h2>${title}</h2><p class="more">${more}</p></figcaption><div class="chart" id="${id}" role="img"></div></figure>`;
  const section = (id: string, title: string) => html`
  <section aria-labelledby="${id}-title" hidden>
    <h2 id="${id}-title">${title}</h2>
    <div id="${id}"></div>
  </section>`;
  const sections = [
    section('batches', 'Batches'),
    section('apps', 'Apps'),
    // The page's script sets its title, which depends on the guard's mode.
    section('ranges', ''),
    section('numbers', 'Allowed and denied numbers'),
  ];
  const head = html`<link rel="stylesheet" href="${asset('uplot.css')}">
<link rel="stylesheet" href="${asset('overview.css')}">
<script src="${asset('uplot.js')}" defer></script>
<script src="${asset('overview.js')}" type="module"></script>`;
  const body = html`<header>
  <div><h1>iSMS OTP gateway</h1><p id="state" role="status">Loading …</p></div>
  <nav aria-label="Pages">
    <a href="/admin/queues">Queues</a>
    <a href="/docs">API</a>
    <a href="/metrics">Metrics</a>
  </nav>
</header>
<noscript><p class="alarm warning">This page needs JavaScript. The queues do not, nor do the metrics.</p></noscript>
<main data-actions="${actions ? 'on' : 'off'}">
  <ul id="alarms" aria-label="Alarms"></ul>
  <section aria-label="Search">
    <form id="find" role="search">
      <label for="query">Find OTPs by id, reference or phone number, or a batch by its id; empty for the newest OTPs of an app</label>
      <div class="row"><input id="query" name="query" maxlength="200" autocomplete="off" spellcheck="false" placeholder="otp_…, order-8731, 012-345 6789, batch_…"><button>Find</button></div>
      <details id="filters"><summary>App, status, time</summary>
        <div class="filters">
          <label>App<select name="app"><option value="">All apps</option></select></label>
          <label>Status<select name="status"><option value="">Any status</option>${statuses.map((status) => html`<option>${status}</option>`)}</select></label>
          <label>Accepted since<input type="datetime-local" name="since"></label>
          <label>Accepted before<input type="datetime-local" name="until"></label>
        </div>
      </details>
    </form>
    <div id="found" aria-live="polite"></div>
  </section>${sections}
  <fieldset id="span"><legend>Time shown</legend>
    <label><input type="radio" name="hours" value="1"><span>1 hour</span></label>
    <label><input type="radio" name="hours" value="6" checked><span>6 hours</span></label>
    <label><input type="radio" name="hours" value="24"><span>24 hours</span></label>
    <label><input type="radio" name="hours" value="168"><span>7 days</span></label>
  </fieldset>
  <dl class="tiles">
    ${tile('sent', 'Sent')}
    ${tile('conversion', 'Verified of sent')}
    ${tile('failures', 'Without an SMS')}
    ${tile('waited', 'Time to send, 95 %')}
    ${tile('waiting', 'Waiting now')}
    ${tile('credits', 'Credits')}
  </dl>
  <div class="charts">
    ${chart('sends-chart', 'OTPs', 'a minute')}
    ${chart('conversion-chart', 'Verified of sent', 'by the time of sending, without the newest 15 min')}
    ${chart('waited-chart', 'Time to send', 'of single OTPs')}
    ${chart('waiting-chart', 'Waiting')}
    ${chart('balance-chart', 'Credits', '30 days')}
  </div>${section('weeks', 'Week over week')}
</main>
<footer>isms-otp-gateway ${version} · times are yours · refreshed every 15 s</footer>`;
  return htmlPage('iSMS OTP gateway', { head, body });
}
