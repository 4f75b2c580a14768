// Where the provider listens and keeps its keys.
import { fileURLToPath } from 'node:url';
import path from 'node:path';

const repository = fileURLToPath(new URL('../../../../', import.meta.url));

export function settings(env = process.env) {
  const port = Number(env.SEKISHO_IDENTITY_PORT ?? 8090);
  if (!Number.isInteger(port) || port < 1 || port > 65535) {
    throw new Error(`SEKISHO_IDENTITY_PORT must be a port, not \`${env.SEKISHO_IDENTITY_PORT}\``);
  }
  return {
    port,
    origin: `http://127.0.0.1:${port}`,
    stateFolder: env.SEKISHO_IDENTITY_STATE ?? path.join(repository, '.run', 'identity'),
    // The sidecar's API: whoever has an account in its directory can sign in here.
    api: `http://127.0.0.1:${env.SEKISHO_API_PORT ?? 8080}`,
    // The gateway takes departments from its own directory; set this to see it use a claim.
    departmentClaim: env.SEKISHO_IDENTITY_DEPARTMENT_CLAIM,
  };
}
