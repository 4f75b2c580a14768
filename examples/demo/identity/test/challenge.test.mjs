// The gateway's claims challenge, as Microsoft's own clients read it: they ask Entra ID for a token with
// the claims, and call again. `sekisho-test-harness permits` holds the gateway to the same file.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { authorizeRequestOnClaimChallenge } from '@azure/core-client';
import {
  bearerTokenAuthenticationPolicy,
  createHttpHeaders,
  createPipelineRequest,
} from '@azure/core-rest-pipeline';

const file = new URL('../../../../filters/scope/cases/cases/challenge.txt', import.meta.url);
const challenge = readFileSync(file, 'utf8').trim();

async function callThrough(challengeCallbacks) {
  const asked = [];
  const credential = {
    async getToken(_scopes, options) {
      asked.push(options?.claims);
      return { token: `token-${asked.length}`, expiresOnTimestamp: Date.now() + 3_600_000 };
    },
  };
  const policy = bearerTokenAuthenticationPolicy({
    credential,
    scopes: 'api://sekisho/.default',
    challengeCallbacks,
  });
  const sent = [];
  const response = await policy.sendRequest(
    createPipelineRequest({ url: 'https://gateway.example/v1/messages' }),
    async (request) => {
      sent.push(request.headers.get('authorization'));
      const refused = sent.length === 1;
      const headers = createHttpHeaders(refused ? { 'www-authenticate': challenge } : {});
      return { status: refused ? 401 : 200, headers, request };
    },
  );
  return { asked, sent, status: response.status };
}

for (const [name, callbacks] of [
  ['core-rest-pipeline', undefined],
  ['core-client', { authorizeRequestOnChallenge: authorizeRequestOnClaimChallenge }],
]) {
  test(`${name} asks for the authentication context and calls again`, async () => {
    const { asked, sent, status } = await callThrough(callbacks);
    assert.equal(status, 200);
    assert.deepEqual(sent, ['Bearer token-1', 'Bearer token-2']);
    assert.deepEqual(JSON.parse(asked[1]), {
      access_token: { acrs: { essential: true, value: 'c1' } },
    });
  });
}
