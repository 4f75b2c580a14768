// What an access token says, in the words of Entra ID's v2.0 tokens.
import { findPersonByOid } from './directory.mjs';

/** The scope tree of the requirement, flat: an identity provider knows no hierarchy. */
export const API_SCOPES = [
  'all_apis', 'text_apis', 'audio_apis', 'video_apis', 'claude_api', 'gemini_api', 'other_text_apis',
  'speech_to_text_api', 'text_to_speech_api', 'video_generation_api', 'video_analysis_api',
];

/** `.default` asks for all that was granted; otherwise what was asked for and granted. */
function grantedScopes(requested, granted) {
  if (requested.has('.default')) return granted;
  // Whoever has `all_apis` may ask for less than that.
  if (granted.includes('all_apis')) return API_SCOPES.filter((scope) => requested.has(scope));
  return granted.filter((scope) => requested.has(scope));
}

export function accessTokenClaims({ directory, settings }) {
  const { tenant, applications } = directory;
  const common = (token) => ({ tid: tenant, ver: '2.0', azp: token.clientId });

  return (ctx, token) => {
    if (token.kind === 'ClientCredentials') {
      const application = Object.values(applications).find(({ clientId }) => clientId === token.clientId);
      return { ...common(token), azpacr: '1', idtyp: 'app', oid: application.oid, roles: application.roles };
    }
    const person = findPersonByOid(directory, token.accountId);
    // The code, or the refresh token, remembers how the person signed in.
    const { AuthorizationCode, RefreshToken } = ctx.oidc.entities;
    const scopes = grantedScopes(new Set(token.scope?.split(' ')), person.scopes);
    return {
      ...common(token),
      azpacr: '0',
      oid: person.oid,
      name: person.displayName,
      preferred_username: person.email,
      amr: (AuthorizationCode ?? RefreshToken)?.amr ?? ['pwd'],
      scp: scopes.join(' '),
      ...(person.roles.length > 0 && { roles: person.roles }),
      ...(settings.departmentClaim && { [settings.departmentClaim]: person.department }),
    };
  };
}

/** Entra's tokens are `typ: JWT`, say `uti` for `jti`, and have neither `client_id` nor `scope`. */
export function shapeAccessToken(_ctx, token, parts) {
  const { client_id: _clientId, scope: _scope, jti, ...payload } = parts.payload;
  parts.header = { ...parts.header, typ: 'JWT' };
  parts.payload = { ...payload, nbf: payload.iat, uti: jti };
  // An application's subject is its object in the tenant.
  if (token.kind === 'ClientCredentials') parts.payload.sub = payload.oid;
}
