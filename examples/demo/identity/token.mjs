#!/usr/bin/env node
// Prints an access token for a person of the demo.
import { parseArgs } from 'node:util';
import { loadDirectory } from './src/directory.mjs';
import { settings } from './src/settings.mjs';
import { applicationToken, signIn, SignInError } from './src/sign-in.mjs';

const HELP = `usage: scripts/token [options] NAME

Signs NAME in at the demo's identity provider (authorization code with PKCE) and
prints the access token, and nothing else. It is valid for an hour.

  NAME         taro, hanako, ichiro, yuko, kenichi, the application \`auditor\`, or the
               company's id of somebody whose account the sidecar has made
  --scope S    ask for these scopes only, separated by spaces (default: all granted)
  --no-mfa     sign in without the second factor
  --claims     print what the token says instead of the token
  --help       print this

  curl -H "Authorization: Bearer $(scripts/token taro)" …

The provider's port is SEKISHO_IDENTITY_PORT, if it is set.`;

function fail(message) {
  console.error(`scripts/token: ${message}`);
  process.exit(1);
}

const nobody = (name, names) =>
  `\`${name}\` is nobody in the demo; there are ${names.join(', ')}, and by their ids people whose accounts the sidecar has made`;

function readArguments(directory) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      scope: { type: 'string' },
      'no-mfa': { type: 'boolean' },
      claims: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    console.log(HELP);
    process.exit(0);
  }
  const names = [...directory.people.map(({ name }) => name), 'auditor'];
  if (positionals.length !== 1) fail(`give one name: ${names.join(', ')}`);
  const [name] = positionals;
  // Another may be somebody whose account the sidecar has made: the provider asks it.
  if (!names.includes(name) && !/^[A-Za-z0-9._-]{1,16}$/.test(name)) fail(nobody(name, names));
  return { name, scope: values.scope, mfa: !values['no-mfa'], claims: values.claims };
}

async function obtain({ name, scope, mfa }, directory, origin) {
  if (name === 'auditor') return applicationToken({ origin, directory, name });
  return signIn({ origin, directory, name, scope, mfa });
}

try {
  const directory = loadDirectory();
  const wanted = readArguments(directory);
  const { origin } = settings();
  const { access_token: token } = await obtain(wanted, directory, origin).catch((error) => {
    const names = directory.people.map((person) => person.name);
    if (error instanceof SignInError && ![...names, 'auditor'].includes(wanted.name)) fail(nobody(wanted.name, names));
    if (error instanceof SignInError) fail(error.message);
    fail(`no identity provider answers at ${origin}; start the demo with scripts/run`);
  });
  const claims = () => JSON.stringify(JSON.parse(Buffer.from(token.split('.')[1], 'base64url')), null, 2);
  console.log(wanted.claims ? claims() : token);
} catch (error) {
  fail(error.message);
}
