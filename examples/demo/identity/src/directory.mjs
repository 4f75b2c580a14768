// Who there is: names and addresses from the company's CSV, the rest from directory.json.
import { readFileSync } from 'node:fs';

const read = (relative) => readFileSync(new URL(relative, import.meta.url), 'utf8');

/** The rows of people.csv by user_id. The file has no quoted fields. */
function rowsByUserId(csv) {
  const [header, ...lines] = csv.trim().split(/\r?\n/).map((line) => line.split(','));
  const rows = lines.map((fields) => Object.fromEntries(header.map((name, i) => [name, fields[i]])));
  return new Map(rows.map((row) => [row.user_id, row]));
}

export function loadDirectory() {
  const directory = JSON.parse(read('../directory.json'));
  const rows = rowsByUserId(read('../../people.csv'));
  const people = Object.entries(directory.people).map(([name, person]) => {
    const row = rows.get(person.userId);
    if (!row) throw new Error(`people.csv has no user_id ${person.userId} (${name})`);
    const { name: displayName, email, department } = row;
    return { roles: [], ...person, name, displayName, email, department };
  });
  return { ...directory, people };
}

/** A person by short name or e-mail address. */
export const findPerson = (directory, account) =>
  directory.people.find(({ name, email }) => account === name || account === email);

export const findPersonByOid = (directory, oid) =>
  directory.people.find((person) => person.oid === oid);
