/** What stands in a queue; knows its neighbours, so that nothing is made for it. */
export interface Queued<Member> {
  newer: Member | undefined;
  older: Member | undefined;
}

/** Members in the order of arrival. A member stands in one queue at most. */
export class Queue<Member extends Queued<Member>> {
  size = 0;
  oldest: Member | undefined;
  #newest: Member | undefined;

  add(member: Member): void {
    member.older = this.#newest;
    if (this.#newest !== undefined) this.#newest.newer = member;
    this.#newest = member;
    this.oldest ??= member;
    this.size++;
  }

  remove(member: Member): void {
    const { newer, older } = member;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    if (older === undefined) this.oldest = newer;
    else older.newer = newer;
    member.newer = undefined;
    member.older = undefined;
    this.size--;
  }
}
