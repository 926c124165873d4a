import { expect, test } from "vitest";
import { decodeFrame } from "./frame";

test("a columns frame keeps its table and values", () => {
  const frame = decodeFrame(
    '{"event":"system-metrics","channel":"metrics:system","at":7,' +
      '"data":{"tier":"fast","collector":"system","up":true,"snapshot":true,"table":3,"values":{"fast":[0.5,null]}}}',
  );
  expect(frame).toMatchObject({
    kind: "columns",
    at: 7,
    data: { table: 3, values: { fast: [0.5, null] } },
  });
});

test("replies, initial data, basic metrics and skipped notices are told apart", () => {
  expect(decodeFrame('{"id":4,"type":"ok","at":9}')).toEqual({
    kind: "reply",
    reply: { id: 4, type: "ok", at: 9 },
  });
  expect(
    decodeFrame('{"event":"initialData","channel":"","at":1,"data":{"agentId":"a","topics":[]}}')?.kind,
  ).toBe("initial");
  expect(
    decodeFrame('{"event":"basic-metrics","channel":"basic-metrics","at":1,"data":{"components":[]}}')?.kind,
  ).toBe("basic");
  expect(
    decodeFrame('{"event":"skipped","channel":"metrics:a","at":1,"data":{"tier":"fast","skipped":3}}')?.kind,
  ).toBe("skipped");
});

test.each([
  "",
  "{",
  "null",
  "[]",
  "3",
  '{"event":"x"}',
  '{"event":"x","channel":"c","at":1,"data":null}',
  '{"event":"x","channel":"c","at":1,"data":{"table":"3","collector":"c","values":{}}}',
  '{"event":"initialData","channel":"","at":1,"data":{}}',
  '{"id":"4","type":"ok"}',
])("%s is ignored", (text) => {
  expect(decodeFrame(text)).toBeNull();
});

test("alerts come as one kind, whether they begin or end", () => {
  const told = (event: string, data: object) =>
    decodeFrame(JSON.stringify({ event, channel: "admin", at: 5, data }));
  const data = { id: "a", state: "firing" };
  expect(told("dashboard-alert", data)).toEqual({ kind: "alert", at: 5, data });
  expect(told("dashboard-alert-resolved", data)).toEqual({ kind: "alert", at: 5, data });
  expect(told("dashboard-alert", { id: 3 })).toBeNull();
});
