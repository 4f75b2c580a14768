// Signs a person in without a browser: authorization code with PKCE (RFC 7636), the
// sign-in form filled in, the code taken from the redirect.
import { createHash, randomBytes } from 'node:crypto';

export class SignInError extends Error {}

const random = () => randomBytes(32).toString('base64url');

/** Follows redirects by hand, keeping cookies, until one leaves the provider. */
class Browser {
  #cookies = new Map();

  constructor(origin) {
    this.origin = origin;
  }

  async request(url, form) {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const options = form ? { method: 'POST', body: new URLSearchParams(form) } : {};
    const response = await fetch(url, { ...options, redirect: 'manual', headers: { cookie } });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      this.#cookies.set(name, value);
    }
    return response;
  }

  /** Answers the page or the URL outside the provider at which the redirects end. */
  async visit(url, form) {
    let at = new URL(url);
    let response = await this.request(at, form);
    while (response.status >= 300 && response.status < 400) {
      at = new URL(response.headers.get('location'), at);
      if (at.origin !== this.origin) return { at };
      response = await this.request(at);
    }
    return { at, response };
  }
}

/** Answers the token endpoint's whole answer: access_token, id_token, refresh_token … */
export async function signIn({ origin, directory, name, scope = '.default', mfa = true }) {
  const { tenant, applications: { workstation } } = directory;
  const endpoint = `${origin}/${tenant}/oauth2/v2.0`;
  const verifier = random();
  const state = random();
  const query = new URLSearchParams({
    client_id: workstation.clientId,
    response_type: 'code',
    redirect_uri: workstation.redirectUri,
    scope: `openid profile offline_access ${scope}`,
    state,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  });

  const browser = new Browser(origin);
  const form = await browser.visit(`${endpoint}/authorize?${query}`);
  if (form.response?.status !== 200) throw refused('authorize', form);
  const fields = { account: name, password: directory.password, ...(mfa && { code: directory.oneTimeCode }) };
  const done = await browser.visit(form.at, fields);
  const code = done.at.searchParams.get('code');
  if (done.response || !code) throw refused('sign-in', done);
  if (done.at.searchParams.get('state') !== state) throw new SignInError('the answer is for another request');

  const response = await browser.request(`${endpoint}/token`, {
    grant_type: 'authorization_code',
    client_id: workstation.clientId,
    redirect_uri: workstation.redirectUri,
    code,
    code_verifier: verifier,
  });
  return tokens(response);
}

/** A token for an application by its own secret (client credentials). */
export async function applicationToken({ origin, directory, name }) {
  const { clientId, secret } = directory.applications[name];
  const response = await new Browser(origin).request(`${origin}/${directory.tenant}/oauth2/v2.0/token`, {
    grant_type: 'client_credentials', client_id: clientId, client_secret: secret, scope: '.default',
  });
  return tokens(response);
}

async function tokens(response) {
  const body = await response.json();
  if (!response.ok) throw new SignInError(`the token endpoint answered ${response.status}: ${body.error_description ?? body.error}`);
  return body;
}

function refused(step, { at, response }) {
  const why = at.searchParams.get('error_description') ?? `HTTP ${response?.status}`;
  return new SignInError(`the identity provider refused at ${step}: ${why}`);
}
