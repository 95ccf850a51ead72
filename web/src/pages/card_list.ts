import type { Card } from './card.js';

/** Keeps the cards under a parent in step with a list: cards stay with their item, so focus and pictures stay too. */
export class CardList<T> {
  private readonly cards = new Map<string, Card<T>>();

  constructor(
    private readonly parent: HTMLElement,
    private readonly keyOf: (item: T) => string,
    private readonly create: (item: T) => Card<T>,
  ) {}

  update(items: readonly T[]): void {
    const keys = new Set(items.map(this.keyOf));
    for (const [key, card] of this.cards) {
      if (keys.has(key)) continue;
      card.element.remove();
      this.cards.delete(key);
    }
    items.forEach((item, position) => this.place(item, position));
  }

  tick(now: Date): void {
    for (const card of this.cards.values()) card.tick(now);
  }

  private place(item: T, position: number): void {
    const key = this.keyOf(item);
    let card = this.cards.get(key);
    if (card === undefined) {
      card = this.create(item);
      this.cards.set(key, card);
    } else {
      card.update(item);
    }
    const there = this.parent.children[position];
    if (there !== card.element) this.parent.insertBefore(card.element, there ?? null);
  }
}
