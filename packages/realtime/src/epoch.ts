/** A new epoch: about 100 random bits as lower-case letters and digits. `random` gives numbers in [0, 1). */
export function newEpoch(random: () => number): string {
  let epoch = '';
  while (epoch.length < 20)
    epoch += Math.floor(random() * 36 ** 4)
      .toString(36)
      .padStart(4, '0');
  return epoch;
}
