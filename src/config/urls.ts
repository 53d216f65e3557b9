import { format, listItems, Secret } from './formats.js';

const loopback = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/** The provider's endpoint on one or more hosts, in order of preference. */
export const ismsUrls = format(
  'an https:// URL (http:// only to localhost, 127.0.0.0/8 or [::1]) without login, query or fragment, or several of different hosts, separated by commas',
  (value) => {
    const urls = (value.includes(',') ? listItems(value) : [value])
      .map(ismsUrl)
      .filter((url) => url !== null);
    const hosts = new Set(urls.map(({ origin }) => origin));
    return hosts.size === value.split(',').length ? urls.map(({ href }) => href) : null;
  },
);

/**
 * Credentials travel in its query string, so it is https wherever the call leaves this machine, and brings no
 * credentials, query or fragment of its own.
 */
function ismsUrl(value: string): URL | null {
  const url = parseUrl(value);
  if (!url || url.username || url.password || /[?#]/.test(value)) return null;
  const secure = url.protocol === 'https:' || (url.protocol === 'http:' && loopback.test(url.hostname));
  return secure ? url : null;
}

/** A receiver of webhooks; what its query says may be a secret, so it shows only its host. */
export const webhookUrl = format(
  'an https:// URL, or http:// inside this network, without login and fragment',
  (value) => {
    const url = parseUrl(value);
    if (!url || url.username || url.password || value.includes('#')) return null;
    return /^https?:$/.test(url.protocol) ? new Secret(url.href, `${url.protocol}//${url.host}`) : null;
  },
);

/** Where something is sent to that holds no secrets. */
export const httpUrl = format('an http:// or https:// URL without login, query or fragment', (value) => {
  const url = parseUrl(value);
  if (!url || url.username || url.password || /[?#]/.test(value)) return null;
  return /^https?:$/.test(url.protocol) ? url.href : null;
});

/** `redis+sentinel://user:password@host:26379,host:26379/master/0`; login, ports and database can be left out. */
export const sentinelUrl =
  /^redis(?<tls>s?)\+sentinel:\/\/(?:(?<username>[^:@/\s]*):(?<password>[^@/\s]*)@)?(?<hosts>[\w.-]+(?::\d{1,5})?(?:,[\w.-]+(?::\d{1,5})?)*)\/(?<master>[\w.-]+)(?:\/(?<db>\d{1,2}))?$/;

/** `redis+cluster://user:password@host:6379,host:6379`: some nodes of a Redis Cluster; login and ports can be left out. */
export const clusterUrl =
  /^redis(?<tls>s?)\+cluster:\/\/(?:(?<username>[^:@/\s]*):(?<password>[^@/\s]*)@)?(?<hosts>[\w.-]+(?::\d{1,5})?(?:,[\w.-]+(?::\d{1,5})?)*)\/?$/;

/** Redis's address. It may hold a password, so it shows only where it leads. */
export const redisUrl = format(
  'redis:// or rediss://, as in redis://user:password@host:6379/0, or redis+sentinel://host:26379,host:26379/master for Sentinel, or redis+cluster://host:6379,host:6379 for a Redis Cluster, each with rediss for TLS; special characters of a password %-encoded',
  (value) => {
    if (sentinelUrl.test(value) || clusterUrl.test(value))
      return new Secret(value, value.replace(/\/\/[^@]*@/, '//[secret]@'));
    const url = parseUrl(value);
    if (!url || !/^rediss?:$/.test(url.protocol) || !url.hostname) return null;
    if (!/^(\/\d*)?$/.test(url.pathname) || url.hash) return null;
    return new Secret(value, shownWithoutLogin(url));
  },
);

function shownWithoutLogin(url: URL): string {
  const login = url.username || url.password ? '[secret]@' : '';
  return `${url.protocol}//${login}${url.host}${url.pathname}`;
}

function parseUrl(value: string): URL | null {
  return /\s/.test(value) || !URL.canParse(value) ? null : new URL(value);
}
