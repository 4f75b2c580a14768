// Signing keys, kept in a folder so that tokens outlive a restart.
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { exportJWK, generateKeyPair } from 'jose';

// The newest key signs; older ones stay published for the tokens that they signed.
const PUBLISHED_KEYS = 3;

async function newKey() {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true, modulusLength: 2048 });
  return { ...(await exportJWK(privateKey)), kid: randomUUID(), use: 'sig', alg: 'RS256' };
}

export class KeyStore {
  #file;
  #state;

  static async open(folder) {
    const store = new KeyStore();
    store.#file = path.join(folder, 'keys.json');
    await mkdir(folder, { recursive: true, mode: 0o700 });
    try {
      store.#state = JSON.parse(await readFile(store.#file, 'utf8'));
    } catch (error) {
      if (error.code !== 'ENOENT') throw error;
      store.#state = { cookieSecret: randomBytes(32).toString('base64url'), keys: [await newKey()] };
      await store.#save();
    }
    return store;
  }

  /** Newest first: the provider signs with the first one. */
  get keys() {
    return this.#state.keys;
  }

  get cookieSecret() {
    return this.#state.cookieSecret;
  }

  async rotate() {
    const keys = [await newKey(), ...this.#state.keys].slice(0, PUBLISHED_KEYS);
    this.#state = { ...this.#state, keys };
    await this.#save();
  }

  async #save() {
    const draft = `${this.#file}.new`;
    await writeFile(draft, JSON.stringify(this.#state), { mode: 0o600 });
    await rename(draft, this.#file);
  }
}
