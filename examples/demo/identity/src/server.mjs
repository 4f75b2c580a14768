// The HTTP server: Entra's paths for one tenant, the sign-in page, and a few switches.
import http from 'node:http';
import { entraProvider } from './provider.mjs';
import { findPerson } from './directory.mjs';
import { findNewcomer, remember } from './newcomers.mjs';
import { signInPage } from './sign-in-page.mjs';

const MAX_FORM_BYTES = 16 * 1024;

async function readForm(req) {
  let text = '';
  for await (const chunk of req) {
    text += chunk;
    if (text.length > MAX_FORM_BYTES) throw new Error('the form is too long');
  }
  return new URLSearchParams(text);
}

function send(res, status, body, type = 'application/json') {
  res.writeHead(status, { 'content-type': `${type}; charset=utf-8`, 'cache-control': 'no-store' });
  res.end(type === 'application/json' ? JSON.stringify(body) : body);
}

export function identityServer({ directory, settings, keyStore, store }) {
  const prefix = `/${directory.tenant}`;
  let provider;
  let callback;
  const renew = () => {
    provider = entraProvider({ directory, settings, keyStore, store });
    provider.on('server_error', (_ctx, error) => console.error('server error:', error.message));
    callback = provider.callback();
  };
  renew();

  const keyIds = () => ({ signing: keyStore.keys[0].kid, published: keyStore.keys.map(({ kid }) => kid) });

  /** Of the demo's own people, or somebody whose account the sidecar has made. */
  async function whoIs(account) {
    const known = findPerson(directory, account);
    if (known && known.name !== known.userId) return known;
    const newcomer = await findNewcomer(directory, settings, account).catch(() => undefined);
    if (newcomer) remember(directory, newcomer);
    return newcomer;
  }

  async function signIn(req, res) {
    const action = req.url;
    const details = await provider.interactionDetails(req, res).catch(() => undefined);
    if (!details) return send(res, 400, 'This sign-in has ended. Start again.', 'text/plain');
    const page = (status, more) => send(res, status, signInPage({ action, directory, ...more }), 'text/html');
    if (req.method !== 'POST') return page(200, { account: details.params.login_hint });

    const form = await readForm(req);
    const account = form.get('account') ?? '';
    const person = await whoIs(account);
    const code = form.get('code') ?? '';
    const known = person && form.get('password') === directory.password;
    if (!known || (code !== '' && code !== directory.oneTimeCode)) {
      return page(401, { account, problem: 'Account, password or code are not right.' });
    }
    const amr = code === '' ? ['pwd'] : ['pwd', 'mfa'];
    const result = { login: { accountId: person.oid, amr, remember: false } };
    return provider.interactionFinished(req, res, result, { mergeWithLastSubmission: false });
  }

  async function administer(operation, res) {
    const [verb, name] = operation.split('/');
    if (verb === 'rotate') {
      await keyStore.rotate();
      renew();
      return send(res, 200, keyIds());
    }
    if (verb === 'revoke') {
      const person = findPerson(directory, decodeURIComponent(name ?? ''));
      if (!person) return send(res, 404, { error: 'no such person', people: directory.people.map((it) => it.name) });
      return send(res, 200, { revoked: store.revokeAccount(person.oid) });
    }
    return send(res, 404, { error: 'there are rotate and revoke/{person}' });
  }

  async function route(req, res) {
    if (req.url === '/__demo/health') return send(res, 200, keyIds());
    if (req.method === 'POST' && req.url.startsWith('/__demo/')) return administer(req.url.slice('/__demo/'.length), res);
    if (!req.url.startsWith(`${prefix}/`)) return send(res, 404, { error: 'no such tenant', tenant: directory.tenant });
    if (req.url.startsWith(`${prefix}/sign-in/`)) return signIn(req, res);
    // Entra's discovery document is below the issuer (`…/v2.0`), its endpoints are beside it; here
    // both are answered at either place. oidc-provider finds its mount path by `originalUrl`.
    req.url = req.url.slice(prefix.length).replace(/^\/v2\.0(?=\/)/, '');
    req.originalUrl = prefix + req.url;
    return callback(req, res);
  }

  return http.createServer((req, res) => {
    route(req, res).catch((error) => {
      console.error('request failed:', error.message);
      if (!res.headersSent) send(res, 500, { error: 'the request failed' });
    });
  });
}
