import { describe, expect, test } from "vitest";
import { type Column, Track } from "./track";

function rows(track: Track, column: Column): [number, number | null][] {
  return Array.from({ length: track.length }, (_, row) => {
    const value = track.valueAt(column, row);
    return [track.timeAt(row), Number.isNaN(value) ? null : value];
  });
}

describe("a track", () => {
  test("keeps rows in order and forgets the oldest when it is full", () => {
    const track = new Track(1000, 10_000);
    const column = track.addColumn();
    for (let tick = 0; tick < 1_000; tick += 1) track.append(tick * 1000, [[column, tick]]);
    expect(track.length).toBe(track.capacity);
    expect(rows(track, column).at(-1)).toEqual([999_000, 999]);
    expect(rows(track, column)[0]).toEqual([(1_000 - track.capacity) * 1000, 1_000 - track.capacity]);
  });

  test("joins over one missed tick but not over two", () => {
    const track = new Track(1000, 10_000);
    const column = track.addColumn();
    for (const at of [0, 2000, 5000]) track.append(at, [[column, 1]]);
    expect(rows(track, column)).toEqual([
      [0, 1],
      [2000, 1],
      [3000, null],
      [5000, 1],
    ]);
  });

  test("exactly 2.5 intervals are still joined", () => {
    const track = new Track(1000, 10_000);
    const column = track.addColumn();
    for (const at of [0, 2500, 5001]) track.append(at, [[column, 1]]);
    expect(rows(track, column)).toEqual([
      [0, 1],
      [2500, 1],
      [3500, null],
      [5001, 1],
    ]);
  });

  test("a restart is a gap even within one interval", () => {
    const track = new Track(1000, 10_000);
    const column = track.addColumn();
    track.append(0, [[column, 1]]);
    track.breakHere();
    track.append(800, [[column, 2]]);
    track.append(1800, [[column, 3]]);
    expect(rows(track, column)).toEqual([
      [0, 1],
      [400, null],
      [800, 2],
      [1800, 3],
    ]);
  });

  test("a null, and a column that the row does not name, are no sample", () => {
    const track = new Track(1000, 10_000);
    const named = track.addColumn();
    const other = track.addColumn();
    track.append(0, [[named, 1]]);
    track.append(1000, [[named, null]]);
    expect(rows(track, named)).toEqual([
      [0, 1],
      [1000, null],
    ]);
    expect(rows(track, other)).toEqual([
      [0, null],
      [1000, null],
    ]);
  });

  test("a slot used again does not show its old value", () => {
    const track = new Track(1000, 1_000);
    const column = track.addColumn();
    for (let tick = 0; tick < track.capacity; tick += 1) track.append(tick * 1000, [[column, 7]]);
    track.append(track.capacity * 1000, []);
    expect(rows(track, column).at(-1)).toEqual([track.capacity * 1000, null]);
  });

  test("the same time twice replaces, and an earlier time drops what came after it", () => {
    const track = new Track(1000, 10_000);
    const column = track.addColumn();
    for (const at of [0, 1000, 2000]) track.append(at, [[column, at]]);
    track.append(2000, [[column, 9]]);
    track.append(1500, [[column, 5]]);
    expect(rows(track, column)).toEqual([
      [0, 0],
      [1000, 1000],
      [1500, 5],
    ]);
  });

  test("finds rows by time", () => {
    const track = new Track(1000, 10_000);
    expect(track.rowFrom(0)).toBe(0);
    for (const at of [1000, 2000, 3000]) track.append(at, []);
    expect([0, 1000, 1001, 3000, 3001].map((at) => track.rowFrom(at))).toEqual([0, 0, 1, 2, 3]);
  });
});

test("a track says from when on it is whole", () => {
  const track = new Track(1000, 5_000);
  expect(track.coveredFrom).toBe(Number.POSITIVE_INFINITY);
  track.append(1_000, []);
  track.append(2_000, []);
  expect(track.coveredFrom).toBe(1_000);
  track.uncover();
  expect(track.coveredFrom).toBe(Number.POSITIVE_INFINITY);
  track.append(3_000, []);
  expect(track.coveredFrom).toBe(3_000);
  for (let at = 4_000; track.length < track.capacity; at += 1_000) track.append(at, []);
  const last = track.timeAt(track.length - 1);
  for (let tick = 1; tick <= 50; tick += 1) track.append(last + tick * 1_000, []);
  expect(track.coveredFrom).toBe(track.timeAt(0));
});
