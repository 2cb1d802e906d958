// SPDX-License-Identifier: GPL-2.0-only
/**
 * Linux's `list_head`: a doubly linked list whose entries carry their own links, so that moving one is cheap. After Linux 7.1
 * include/linux/list.h, with the checks of lib/list_debug.c. An entry knows its list here; left out: everything else.
 */

/** An entry's place in one list. */
export class ListNode<T> {
  readonly owner: T;
  prev: ListNode<T> | null = null;
  next: ListNode<T> | null = null;
  list: LinkedList<T> | null = null;

  constructor(owner: T) {
    this.owner = owner;
  }

  /** True while the entry is in a list. */
  get linked(): boolean {
    return this.list !== null;
  }
}

export class LinkedList<T> {
  #first: ListNode<T> | null = null;
  #last: ListNode<T> | null = null;

  get empty(): boolean {
    return this.#first === null;
  }

  get first(): T | null {
    return this.#first?.owner ?? null;
  }

  get last(): T | null {
    return this.#last?.owner ?? null;
  }

  /** Linux's `list_add_tail`. @throws Error if the entry is in a list already */
  addTail(node: ListNode<T>): void {
    if (node.list) throw new Error("list_add corruption: the entry is in a list already");
    node.list = this;
    node.prev = this.#last;
    node.next = null;
    if (this.#last) this.#last.next = node;
    else this.#first = node;
    this.#last = node;
  }

  /** Linux's `list_del_init`; an entry that is in no list stays so. @throws Error if the entry is in another list */
  remove(node: ListNode<T>): void {
    if (node.list === null) return;
    if (node.list !== this) throw new Error("list_del corruption: the entry is in another list");
    if (node.prev) node.prev.next = node.next;
    else this.#first = node.next;
    if (node.next) node.next.prev = node.prev;
    else this.#last = node.prev;
    node.prev = node.next = node.list = null;
  }

  /** Linux's `list_move_tail`. */
  moveTail(node: ListNode<T>): void {
    this.remove(node);
    this.addTail(node);
  }

  /** Moves an entry to just behind another of this list; null: to the head. */
  moveAfter(node: ListNode<T>, other: ListNode<T> | null): void {
    if (node === other) return;
    if (other && other.list !== this) throw new Error("list_add corruption: the neighbour is in another list");
    this.remove(node);
    const next = other ? other.next : this.#first;
    node.list = this;
    node.prev = other;
    node.next = next;
    if (next) next.prev = node;
    else this.#last = node;
    if (other) other.next = node;
    else this.#first = node;
  }

  /** Moves all entries of `other` to the tail of this list, in order. Linux's `list_splice_tail_init`. */
  spliceTail(other: LinkedList<T>): void {
    for (let node = other.#first; node; node = other.#first) {
      other.remove(node);
      this.addTail(node);
    }
  }

  *[Symbol.iterator](): Generator<T, void, undefined> {
    let node = this.#first;
    while (node) {
      const next: ListNode<T> | null = node.next;
      yield node.owner;
      node = next;
    }
  }

  /** The entries in order. */
  toArray(): T[] {
    return [...this];
  }
}
