import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type Request, type Response, Router } from 'express';
import { z } from 'zod';
import type { Otp } from '../../otp/otp.js';
import { PhoneNumber } from '../../otp/phone-number.js';
import type { RequestSettings } from '../../producer/settings.js';
import type { Store } from '../../store/store.js';
import { readJson } from '../http/body.js';
import { ApiProblem } from '../http/problem.js';
import { parseInput } from '../http/request.js';

import { otpView, skipUnreadable } from '../routes/otps.js';
import { type OverviewDependencies, type OverviewHours, overviewOf } from './overview-data.js';
import { overviewPage } from './overview-page.js';
import { overviewStyle } from './overview-style.js';

export interface OverviewPagesDependencies extends OverviewDependencies {
  store: OverviewDependencies['store'] & Pick<Store, 'otps' | 'phones' | 'ranges'>;
  settings: Pick<RequestSettings, 'defaultCountry' | 'fraudGuardEnforces'>;
  version: string;
}

const querySchema = z.strictObject({
  hours: z
    .enum(['6', '24', '168'])
    .default('6')
    .transform((hours) => Number(hours) as OverviewHours),
});
const lookupSchema = z.strictObject({ query: z.string().trim().min(1).max(64) });
const rangeSchema = z.strictObject({ app: z.string().max(64), range: z.string().max(32) });

/** The overview, at the root of the admin pages: what an operator wants to see at a glance. */
export function overviewPages(actions: boolean, dependencies: OverviewPagesDependencies): Router {
  const { store, settings, version } = dependencies;
  const assets = overviewAssets();
  const page = overviewPage({ version, actions, digest: assets.digest });
  const router = Router({ caseSensitive: true, strict: true });
  router.get('/', (_req, res) => void res.set('Cache-Control', 'no-cache').send(page));
  router.get('/assets/:name', (req, res) => {
    const asset = assets.byName.get(req.params.name);
    if (!asset) throw new ApiProblem('not_found');
    // Its address changes with it; while APIs of two versions answer, one may be asked for the other's.
    const own = Object.hasOwn(req.query, assets.digest);
    const kept = own ? 'private, max-age=31536000, immutable' : 'no-store';
    res.set('Cache-Control', kept).type(asset.type).send(asset.text);
  });
  router.get('/overview.json', async (req, res) => {
    const { hours } = parseInput(querySchema, req.query);
    answer(res, await overviewOf(dependencies, hours));
  });
  router.post('/otps', async (req, res) => {
    const { query } = parseInput(lookupSchema, await readJson(req));
    const otps = await lookUp(store, query, settings.defaultCountry);
    answer(res, { otps: otps.map(maskedView) });
  });
  router.post('/ranges/forget', async (req, res) => {
    if (!actions) throw new ApiProblem('action_not_offered');
    const { app, range } = parseInput(rangeSchema, await readJson(req));
    answer(res, { known: await store.ranges.forget(app, range.replace(/\D/g, '')) });
  });
  for (const path of ['/', '/assets/:name', '/overview.json']) router.all(path, refuseMethod('GET, HEAD'));
  for (const path of ['/otps', '/ranges/forget']) router.all(path, refuseMethod('POST'));
  return router;
}

function answer(res: Response, body: object): void {
  res.set('Cache-Control', 'no-store').json(body);
}

function refuseMethod(allow: string) {
  return (_req: Request) => {
    throw new ApiProblem('method_not_allowed', { headers: { Allow: allow } });
  };
}

/** By its id, or the newest to a number, which is found by its hash. */
async function lookUp(
  { otps, phones }: OverviewPagesDependencies['store'],
  query: string,
  country: RequestSettings['defaultCountry'],
): Promise<Otp[]> {
  const to = PhoneNumber.parse(query, country);
  const ids = to ? (await phones.known(to)).flatMap(({ otpIds }) => otpIds) : [query];
  const found = await Promise.all(ids.map((id) => otps.findOfAnyApp(id).catch(skipUnreadable)));
  return found.filter((otp) => otp !== null).sort((a, b) => b.createdAt - a.createdAt);
}

/** An OTP as the operator sees it: no whole number, and nothing that the app wrote. */
function maskedView(otp: Otp) {
  const { reference: _reference, ...view } = otpView(otp);
  return { ...view, app: otp.app, to: otp.to.masked };
}

interface Asset {
  type: string;
  text: string;
}

/** Everything the page loads, and what its addresses carry so that browsers may keep it. */
function overviewAssets(): { byName: Map<string, Asset>; digest: string } {
  const { resolve } = createRequire(import.meta.url);
  const js = (path: string | URL) => ({ type: 'text/javascript', text: readFileSync(path, 'utf8') });
  const css = (text: string) => ({ type: 'text/css', text });
  const byName = new Map<string, Asset>([
    ['uplot.js', js(resolve('uplot/dist/uPlot.iife.min.js'))],
    ['uplot.css', css(readFileSync(resolve('uplot/dist/uPlot.min.css'), 'utf8'))],
    ['overview.js', js(new URL('./browser/overview.js', import.meta.url))],
    ['overview.css', css(overviewStyle)],
  ]);
  const all = [...byName.values()].map(({ text }) => text).join('\n');
  return { byName, digest: createHash('sha256').update(all).digest('hex').slice(0, 12) };
}
