import { hashTag } from './keys.ts';

/** Positions of `keys` that may travel in one command: all of them, or on a cluster those that share a hash tag. */
export function slotGroups(keys: readonly string[], cluster: boolean): readonly (readonly number[])[] {
  if (!cluster) return keys.length === 0 ? [] : [keys.map((_, index) => index)];
  const groups = new Map<string, number[]>();
  for (let index = 0; index < keys.length; index++) {
    const tag = hashTag(keys[index] as string);
    const group = groups.get(tag);
    if (group === undefined) groups.set(tag, [index]);
    else group.push(index);
  }
  return [...groups.values()];
}

/** The same, and none of more than `most` keys. */
export function commandGroups(keys: readonly string[], cluster: boolean, most: number): readonly string[][] {
  const pieces: string[][] = [];
  for (const group of slotGroups(keys, cluster)) {
    for (let start = 0; start < group.length; start += most) {
      pieces.push(group.slice(start, start + most).map((index) => keys[index] as string));
    }
  }
  return pieces;
}
