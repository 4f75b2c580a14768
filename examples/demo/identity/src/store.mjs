// Sessions, grants, codes and refresh tokens, in memory and outside any one Provider:
// rotating the keys makes a new Provider, and nobody is to be signed out by that.

export class Store {
  #entries = new Map();

  /** The class that oidc-provider asks for: one instance per kind of thing. */
  adapter() {
    const store = this;
    return class {
      constructor(kind) {
        this.kind = kind;
      }

      upsert = async (id, payload, expiresIn) => store.#put(this.kind, id, payload, expiresIn);
      find = async (id) => store.#get(`${this.kind}:${id}`);
      findByUid = async (uid) => store.#first((entry) => entry.kind === this.kind && entry.payload.uid === uid);
      findByUserCode = async (code) =>
        store.#first((entry) => entry.kind === this.kind && entry.payload.userCode === code);
      destroy = async (id) => void store.#entries.delete(`${this.kind}:${id}`);
      revokeByGrantId = async (grantId) => void store.#drop(({ payload }) => payload.grantId === grantId);

      async consume(id) {
        const payload = store.#get(`${this.kind}:${id}`);
        if (payload) payload.consumed = Math.floor(Date.now() / 1000);
      }
    };
  }

  /** Ends everything that a person has open; answers how many things that were. */
  revokeAccount(accountId) {
    return this.#drop(({ payload }) => payload.accountId === accountId);
  }

  #put(kind, id, payload, expiresIn) {
    this.#drop((entry) => entry.expiresAt <= Date.now());
    const expiresAt = expiresIn ? Date.now() + expiresIn * 1000 : Infinity;
    this.#entries.set(`${kind}:${id}`, { kind, payload, expiresAt });
  }

  #get(key) {
    const entry = this.#entries.get(key);
    return entry && entry.expiresAt > Date.now() ? entry.payload : undefined;
  }

  #first(matches) {
    for (const entry of this.#entries.values()) {
      if (entry.expiresAt > Date.now() && matches(entry)) return entry.payload;
    }
    return undefined;
  }

  #drop(matches) {
    let dropped = 0;
    for (const [key, entry] of this.#entries) {
      if (matches(entry)) {
        this.#entries.delete(key);
        dropped += 1;
      }
    }
    return dropped;
  }
}
