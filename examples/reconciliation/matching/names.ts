/** Words that banks leave out or cut, and that tell nobody apart. */
const particles = new Set(['da', 'de', 'di', 'do', 'das', 'dos', 'e']);

/**
 * The groups of three letters of a name, as PostgreSQL's `pg_trgm` makes them: each word begins with two blanks and ends with
 * one, so beginnings weigh more, and the order of words does not count. Accents, case and particles do not count either.
 */
export function lettersOf(name: string): ReadonlySet<string> {
  const letters = new Set<string>();
  const plain = name.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();
  for (const word of plain.split(/[^a-z]+/)) {
    if (word === '' || particles.has(word)) continue;
    const padded = `  ${word} `;
    for (let at = 0; at + 3 <= padded.length; at++) letters.add(padded.slice(at, at + 3));
  }
  return letters;
}

/** Which of the known names are like a name, by their place, and how much: above 0 and at most 1. */
export type NameIndex = (name: string) => ReadonlyMap<number, number>;

/**
 * Makes an index of names. How alike two are is twice the groups they share over those they have (Sørensen and Dice). A name
 * costs what others have in common with it, not a comparison with each of them.
 *
 * @param least - What is less alike is left out.
 */
export function indexNames(names: readonly string[], least: number): NameIndex {
  const sizes: number[] = [];
  const having = new Map<string, number[]>();
  for (const [place, name] of names.entries()) {
    const letters = lettersOf(name);
    sizes.push(letters.size);
    for (const group of letters) {
      const places = having.get(group);
      if (places) places.push(place);
      else having.set(group, [place]);
    }
  }
  return (name) => {
    const letters = lettersOf(name);
    const shared = new Map<number, number>();
    for (const group of letters) {
      for (const place of having.get(group) ?? []) shared.set(place, (shared.get(place) ?? 0) + 1);
    }
    const near = new Map<number, number>();
    for (const [place, count] of shared) {
      const likeness = (2 * count) / (letters.size + (sizes[place] ?? 0));
      if (likeness >= least) near.set(place, likeness);
    }
    return near;
  };
}
