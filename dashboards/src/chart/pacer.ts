/**
 * Decides when charts draw: shortly after samples came, so that several collectors' frames of one tick are drawn
 * once, and otherwise each second, because the time axis scrolls by the clock. Only what is on the screen draws,
 * and nothing does while the page is hidden.
 */

export interface Drawable {
  /** Draws the state at `now`, in ms of the agent's clock. */
  draw(now: number): void;
  /** It left the screen. */
  hide?(): void;
}

/** Frames of one tick come within this of each other. */
const COALESCE_MS = 40;
const EVERY_MS = 1_000;
/** After a draw for samples, the clock's own draw waits this long, so that it does not run just before the next samples. */
const PATIENCE_MS = 1_300;

export class Pacer {
  private readonly now: () => number;
  private readonly places = new Map<Element, { drawable: Drawable; visible: boolean }>();
  private readonly observer: IntersectionObserver;
  private soon: ReturnType<typeof setTimeout> | undefined;
  private clock: ReturnType<typeof setTimeout> | undefined;

  constructor(now: () => number) {
    this.now = now;
    this.observer = new IntersectionObserver((entries) => this.see(entries), { rootMargin: "120px" });
  }

  start(): void {
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.drawAll(PATIENCE_MS);
    });
    this.drawAll(EVERY_MS);
  }

  add(element: Element, drawable: Drawable): void {
    this.places.set(element, { drawable, visible: false });
    this.observer.observe(element);
  }

  remove(element: Element): void {
    this.places.delete(element);
    this.observer.unobserve(element);
  }

  /** There is something new to draw. */
  request(): void {
    if (this.soon !== undefined || document.hidden) return;
    this.soon = setTimeout(() => {
      this.soon = undefined;
      this.drawAll(PATIENCE_MS);
    }, COALESCE_MS);
  }

  private drawAll(nextMs: number): void {
    clearTimeout(this.clock);
    this.clock = setTimeout(() => this.drawAll(EVERY_MS), nextMs);
    if (document.hidden) return;
    const now = this.now();
    for (const place of this.places.values()) if (place.visible) place.drawable.draw(now);
  }

  private see(entries: IntersectionObserverEntry[]): void {
    const now = this.now();
    for (const entry of entries) {
      const place = this.places.get(entry.target);
      if (!place) continue;
      const appeared = entry.isIntersecting && !place.visible;
      if (place.visible && !entry.isIntersecting) place.drawable.hide?.();
      place.visible = entry.isIntersecting;
      if (appeared && !document.hidden) place.drawable.draw(now);
    }
  }
}
