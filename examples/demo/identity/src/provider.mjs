// oidc-provider, configured to look like one tenant of Entra ID.
import Provider, { interactionPolicy } from 'oidc-provider';
import { API_SCOPES, accessTokenClaims, shapeAccessToken } from './entra-claims.mjs';
import { findPersonByOid } from './directory.mjs';

const HOUR = 3600;
const RESOURCE_SCOPES = ['.default', ...API_SCOPES].join(' ');

/** The administrator has consented for everybody: people only sign in. */
function signInOnly() {
  const policy = interactionPolicy.base();
  policy.remove('consent');
  return policy;
}

async function grantByAdministrator(ctx, audience) {
  const { client, session, provider } = ctx.oidc;
  const existing = session.grantIdFor(client.clientId);
  const grant = (existing && (await provider.Grant.find(existing)))
    || new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
  grant.addOIDCScope('openid profile email offline_access');
  grant.addResourceScope(audience, RESOURCE_SCOPES);
  await grant.save();
  return grant;
}

function clients({ workstation, auditor }) {
  return [
    {
      client_id: workstation.clientId,
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      // A loopback redirect of a native application may use any port (RFC 8252, 7.3).
      redirect_uris: [workstation.redirectUri],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
    },
    {
      client_id: auditor.clientId,
      client_secret: auditor.secret,
      token_endpoint_auth_method: 'client_secret_post',
      redirect_uris: [],
      grant_types: ['client_credentials'],
      response_types: [],
    },
  ];
}

export function entraProvider({ directory, settings, keyStore, store }) {
  const { tenant, audience } = directory;
  return new Provider(`${settings.origin}/${tenant}/v2.0`, {
    adapter: store.adapter(),
    cookies: { keys: [keyStore.cookieSecret] },
    jwks: { keys: keyStore.keys },
    clients: clients(directory.applications),
    pkce: { required: () => true },
    scopes: ['openid', 'profile', 'email', 'offline_access'],
    claims: { openid: ['sub', 'oid', 'tid'], profile: ['name', 'preferred_username'], email: ['email'] },
    async findAccount(_ctx, oid) {
      const person = findPersonByOid(directory, oid);
      if (!person) return undefined;
      const { displayName: name, email } = person;
      return { accountId: oid, claims: () => ({ sub: oid, oid, tid: tenant, name, email, preferred_username: email }) };
    },
    loadExistingGrant: (ctx) => grantByAdministrator(ctx, audience),
    extraTokenClaims: accessTokenClaims({ directory, settings }),
    formats: { customizers: { jwt: shapeAccessToken } },
    // oidc-provider drops `offline_access` unless the person is asked to consent; here the
    // administrator has consented, so whoever may refresh gets a refresh token.
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    expiresWithSession: () => false,
    rotateRefreshToken: true,
    ttl: {
      AccessToken: HOUR, ClientCredentials: HOUR, IdToken: HOUR, AuthorizationCode: 60, Interaction: 600,
      Session: 8 * HOUR, Grant: 24 * HOUR, RefreshToken: 24 * HOUR,
    },
    interactions: { policy: signInOnly(), url: (_ctx, { uid }) => `/${tenant}/sign-in/${uid}` },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audience,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, resource) => ({
          audience: resource,
          scope: RESOURCE_SCOPES,
          accessTokenTTL: HOUR,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
    routes: {
      authorization: '/oauth2/v2.0/authorize',
      token: '/oauth2/v2.0/token',
      revocation: '/oauth2/v2.0/revoke',
      end_session: '/oauth2/v2.0/logout',
      userinfo: '/openid/userinfo',
      jwks: '/discovery/v2.0/keys',
    },
  });
}
