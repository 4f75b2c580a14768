#!/usr/bin/env node
// Starts the demo's OpenID provider.
import { loadDirectory } from './src/directory.mjs';
import { KeyStore } from './src/keys.mjs';
import { identityServer } from './src/server.mjs';
import { settings } from './src/settings.mjs';
import { Store } from './src/store.mjs';

try {
  const chosen = settings();
  const directory = loadDirectory();
  const keyStore = await KeyStore.open(chosen.stateFolder);
  const server = identityServer({ directory, settings: chosen, keyStore, store: new Store() });
  server.on('error', (error) => {
    console.error(`identity: cannot listen on 127.0.0.1:${chosen.port} (${error.code}); set SEKISHO_IDENTITY_PORT to a free port`);
    process.exit(1);
  });
  server.listen(chosen.port, '127.0.0.1', () => {
    console.log(`identity: issuer ${chosen.origin}/${directory.tenant}/v2.0`);
  });
} catch (error) {
  console.error(`identity: ${error.message}`);
  process.exit(1);
}
