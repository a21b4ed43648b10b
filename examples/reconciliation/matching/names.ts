/** Words that banks leave out or cut, and that tell nobody apart. */
const particles = new Set(['da', 'de', 'di', 'do', 'das', 'dos', 'e']);

/** A name made ready to be compared with many others. */
export type NameProfile = ReadonlySet<string>;

/**
 * The groups of three letters of a name, as PostgreSQL's `pg_trgm` makes them: each word begins with two blanks and ends with
 * one, so beginnings weigh more, and the order of words does not count. Accents, case and particles do not count either.
 */
export function nameProfile(name: string): NameProfile {
  const profile = new Set<string>();
  const plain = name.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();
  for (const word of plain.split(/[^a-z]+/)) {
    if (word === '' || particles.has(word)) continue;
    const padded = `  ${word} `;
    for (let at = 0; at + 3 <= padded.length; at++) profile.add(padded.slice(at, at + 3));
  }
  return profile;
}

/** How alike two names are, from 0 to 1: twice what they share over what they have (Sørensen and Dice). */
export function likeness(one: NameProfile, other: NameProfile): number {
  if (one.size === 0 || other.size === 0) return 0;
  const [few, many] = one.size < other.size ? [one, other] : [other, one];
  let shared = 0;
  for (const group of few) if (many.has(group)) shared++;
  return (2 * shared) / (one.size + other.size);
}
