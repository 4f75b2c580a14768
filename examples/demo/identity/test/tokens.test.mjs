// Signs in for real, and verifies the tokens with the published keys as a gateway would.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import { loadDirectory } from '../src/directory.mjs';
import { KeyStore } from '../src/keys.mjs';
import { identityServer } from '../src/server.mjs';
import { applicationToken, signIn } from '../src/sign-in.mjs';
import { Store } from '../src/store.mjs';

const directory = loadDirectory();
let folder;
let server;
let settings;

async function start(port = 0) {
  const keyStore = await KeyStore.open(folder);
  settings = { origin: `http://127.0.0.1:${port}`, departmentClaim: undefined };
  server = identityServer({ directory, settings, keyStore, store: new Store() });
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  return server.address().port;
}

const stop = () => new Promise((resolve) => server.close(resolve) && server.closeAllConnections());

before(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'sekisho-identity-'));
  // The issuer holds the port: find a free one, then start with it.
  const port = await start();
  await stop();
  await start(port);
});

after(async () => {
  await stop();
  await rm(folder, { recursive: true });
});

const issuer = () => `${settings.origin}/${directory.tenant}/v2.0`;
const personal = (name, more) => signIn({ origin: settings.origin, directory, name, ...more });

async function discovery() {
  return (await fetch(`${issuer()}/.well-known/openid-configuration`)).json();
}

async function claimsOf(token) {
  const { jwks_uri: keys } = await discovery();
  const options = { issuer: issuer(), audience: 'api://sekisho', algorithms: ['RS256'], typ: 'JWT' };
  return (await jwtVerify(token, createRemoteJWKSet(new URL(keys)), options)).payload;
}

test('the endpoints are at the paths of Entra ID', async () => {
  const document = await discovery();
  const base = `${settings.origin}/${directory.tenant}`;
  assert.equal(document.issuer, issuer());
  assert.equal(document.authorization_endpoint, `${base}/oauth2/v2.0/authorize`);
  assert.equal(document.token_endpoint, `${base}/oauth2/v2.0/token`);
  assert.equal(document.jwks_uri, `${base}/discovery/v2.0/keys`);
  assert.deepEqual(document.code_challenge_methods_supported, ['S256']);
});

test('every person gets the scopes that were granted to them', async () => {
  const expected = {
    taro: 'text_apis', hanako: 'text_apis audio_apis', ichiro: 'all_apis', yuko: 'text_apis', kenichi: 'text_apis',
  };
  for (const person of directory.people) {
    const claims = await claimsOf((await personal(person.name)).access_token);
    assert.equal(claims.scp, expected[person.name]);
    assert.equal(claims.oid, person.oid);
    assert.equal(claims.tid, directory.tenant);
    assert.equal(claims.ver, '2.0');
    assert.equal(claims.preferred_username, person.email);
    assert.equal(claims.exp - claims.iat, 3600);
    assert.equal(claims.nbf, claims.iat);
    assert.deepEqual(claims.amr, ['pwd', 'mfa']);
    assert.equal(claims.azp, directory.applications.workstation.clientId);
    assert.ok(!('department' in claims || 'scope' in claims || 'client_id' in claims || 'jti' in claims));
  }
});

test('only the administrator has the administrator role', async () => {
  assert.deepEqual((await claimsOf((await personal('ichiro')).access_token)).roles, ['Sekisho.Administrator']);
  assert.equal((await claimsOf((await personal('taro')).access_token)).roles, undefined);
});

test('without the second factor the token does not say mfa', async () => {
  assert.deepEqual((await claimsOf((await personal('taro', { mfa: false })).access_token)).amr, ['pwd']);
});

test('a person may ask for less than was granted, and gets no more', async () => {
  assert.equal((await claimsOf((await personal('hanako', { scope: 'audio_apis video_apis' })).access_token)).scp, 'audio_apis');
  assert.equal((await claimsOf((await personal('ichiro', { scope: 'gemini_api' })).access_token)).scp, 'gemini_api');
});

test('a department is claimed when the provider is told to', async () => {
  settings.departmentClaim = 'department';
  assert.equal((await claimsOf((await personal('taro')).access_token)).department, '営業部');
  settings.departmentClaim = undefined;
});

test('the auditing application has a token of its own', async () => {
  const { access_token: token } = await applicationToken({ origin: settings.origin, directory, name: 'auditor' });
  const claims = await claimsOf(token);
  assert.equal(claims.idtyp, 'app');
  assert.deepEqual(claims.roles, ['Sekisho.Auditor']);
  assert.equal(claims.sub, directory.applications.auditor.oid);
  assert.equal(claims.scp, undefined);
});

test('a request without PKCE is refused', async () => {
  const { clientId, redirectUri } = directory.applications.workstation;
  const query = new URLSearchParams({ client_id: clientId, redirect_uri: redirectUri, response_type: 'code', scope: 'openid' });
  const { authorization_endpoint: endpoint } = await discovery();
  const response = await fetch(`${endpoint}?${query}`, { redirect: 'manual' });
  assert.match(response.headers.get('location'), /error=invalid_request/);
});

test('a wrong password does not sign in', async () => {
  const other = { ...directory, password: 'wrong' };
  await assert.rejects(signIn({ origin: settings.origin, directory: other, name: 'taro' }), /refused at sign-in/);
});

async function refresh(token) {
  const { token_endpoint: endpoint } = await discovery();
  const body = new URLSearchParams({
    grant_type: 'refresh_token', client_id: directory.applications.workstation.clientId, refresh_token: token,
  });
  return fetch(endpoint, { method: 'POST', body });
}

test('after a rotation new tokens have a new key, old ones verify, and nobody is signed out', async () => {
  const before = await personal('taro');
  const rotated = await (await fetch(`${settings.origin}/__demo/rotate`, { method: 'POST' })).json();
  const after = await (await refresh(before.refresh_token)).json();
  assert.equal(decodeProtectedHeader(after.access_token).kid, rotated.signing);
  assert.notEqual(decodeProtectedHeader(before.access_token).kid, rotated.signing);
  for (const { access_token: token } of [before, after]) assert.equal((await claimsOf(token)).scp, 'text_apis');
});

test('a revoked person must sign in again', async () => {
  const { refresh_token: token } = await personal('kenichi');
  const answer = await fetch(`${settings.origin}/__demo/revoke/kenichi`, { method: 'POST' });
  assert.ok((await answer.json()).revoked > 0);
  assert.equal((await refresh(token)).status, 400);
});

test('a refresh token serves once', async () => {
  const { refresh_token: token } = await personal('taro');
  assert.equal((await refresh(token)).status, 200);
  assert.equal((await refresh(token)).status, 400);
});

test('tokens outlive a restart', async () => {
  const { access_token: token } = await personal('taro');
  const { port } = server.address();
  await stop();
  await start(port);
  assert.equal((await claimsOf(token)).scp, 'text_apis');
});
