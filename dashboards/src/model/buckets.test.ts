import { expect, test } from "vitest";
import { BUCKETS_MAX, Buckets } from "./buckets";

const stats = (avg: number) => ({ min: avg - 1, avg, max: avg + 1 });

test("a bucket keeps what is put, until it is taken away", () => {
  const buckets = new Buckets(1_000);
  buckets.put(1_003, stats(5));
  expect([buckets.min(1_003), buckets.avg(1_003), buckets.max(1_003)]).toEqual([4, 5, 6]);
  expect([buckets.oldest, buckets.newest]).toEqual([1_003, 1_003]);
  buckets.put(1_003, null);
  expect(buckets.avg(1_003)).toBeNaN();
});

test("what is not held is neither kept nor read from another's place", () => {
  const buckets = new Buckets(0);
  buckets.put(3, stats(5));
  buckets.put(BUCKETS_MAX + 3, stats(9));
  expect(buckets.avg(3)).toBe(5);
  expect(buckets.avg(BUCKETS_MAX + 3)).toBeNaN();
  expect(buckets.avg(-1)).toBeNaN();
});

test.each([1, 7, BUCKETS_MAX - 1, BUCKETS_MAX, 5 * BUCKETS_MAX + 3])("moving on by %i and back", (by) => {
  const base = 10_000;
  const buckets = new Buckets(base);
  for (let index = base; index < base + BUCKETS_MAX; index += 1) buckets.put(index, stats(index));
  buckets.slide(base + by);
  for (let index = base + by; index < base + by + BUCKETS_MAX; index += 1) {
    if (index < base + BUCKETS_MAX) expect(buckets.avg(index)).toBe(index);
    else expect(buckets.avg(index)).toBeNaN();
  }
  buckets.slide(base);
  for (let index = base; index < base + Math.min(by, BUCKETS_MAX); index += 1) {
    expect(buckets.avg(index)).toBeNaN();
  }
});

test("a series of which nothing is held any more is known by its ends", () => {
  const buckets = new Buckets(0);
  buckets.put(3, stats(1));
  buckets.slide(100);
  expect(buckets.newest).toBeLessThan(buckets.oldest);
});
