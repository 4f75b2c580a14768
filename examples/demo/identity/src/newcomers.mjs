// People who are not in directory.json: whoever has an account in the sidecar's embedded directory can
// sign in as well, by the company's id, as in a tenant in which the sidecar makes accounts.
import { applicationToken } from './sign-in.mjs';

/** The person of this id as the sidecar knows him or her now; undefined: nobody who may sign in. */
export async function findNewcomer(directory, settings, id) {
  if (!/^[A-Za-z0-9._-]{1,16}$/.test(id)) return undefined;
  const { access_token: token } = await applicationToken({ origin: settings.origin, directory, name: 'auditor' });
  const response = await fetch(`${settings.api}/v1/users/${id}`, { headers: { authorization: `Bearer ${token}` } });
  if (!response.ok) return undefined;
  const user = await response.json();
  if (!user.active) return undefined;
  return {
    name: user.id,
    userId: user.id,
    oid: user.account.object_id,
    displayName: user.name,
    email: user.email,
    department: user.department,
    scopes: user.account.app_roles,
    roles: [],
  };
}

/** Remembers the person for the tokens of the session; what was known before is replaced. */
export function remember(directory, person) {
  directory.people = [...directory.people.filter(({ oid }) => oid !== person.oid), person];
}
