import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Connection, type ConnectionState } from "./connection";
import type { Frame } from "./frame";

class Socket {
  readyState = 0;
  sent: { id: number; type: string }[] = [];
  onmessage: ((message: { data: string }) => void) | null = null;
  onclose: ((close: { code: number; reason: string }) => void) | null = null;
  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }
  close(): void {
    this.readyState = 3;
  }
  says(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
  greets(): void {
    this.readyState = 1;
    this.says({ event: "initialData", channel: "", at: 1, data: { agentId: "a", topics: [] } });
  }
  beats(): void {
    this.says({ event: "basic-metrics", channel: "basic-metrics", at: 1, data: { components: [] } });
  }
  fails(code = 1006, reason = ""): void {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }
}

let sockets: Socket[];
let states: ConnectionState[];
let frames: Frame[];
let random: number;

function connect(): Connection {
  const connection = new Connection({
    url: "ws://agent/ws",
    onFrame: (frame) => frames.push(frame),
    onState: (state) => states.push(state),
    random: () => random,
    socket: () => {
      const socket = new Socket();
      sockets.push(socket);
      return socket as unknown as WebSocket;
    },
  });
  connection.start();
  return connection;
}

const socket = () => sockets.at(-1) as Socket;
const phase = () => states.at(-1)?.phase;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
  sockets = [];
  states = [];
  frames = [];
  random = 0.5;
});
afterEach(() => vi.useRealTimers());

describe("a connection", () => {
  test("is live once the agent has introduced itself, and not before", () => {
    connect();
    socket().readyState = 1;
    expect(phase()).toBe("connecting");
    socket().greets();
    expect(phase()).toBe("live");
    expect(frames.map((frame) => frame.kind)).toEqual(["initial"]);
  });

  test("is stale after 3 s without an event, counted from the last one, and live again with the next", () => {
    connect();
    socket().greets();
    vi.advanceTimersByTime(2_000);
    socket().beats();
    vi.advanceTimersByTime(2_999);
    expect(phase()).toBe("live");
    vi.advanceTimersByTime(1);
    expect(states.at(-1)).toEqual({ phase: "stale", since: 1_002_000 });
    socket().beats();
    expect(phase()).toBe("live");
  });

  test("a ping's answer keeps the connection but does not make old figures current", () => {
    connect();
    socket().greets();
    vi.advanceTimersByTime(15_000);
    expect(socket().sent).toEqual([{ id: 1, type: "ping" }]);
    socket().says({ id: 1, type: "ok", at: 5 });
    expect(phase()).toBe("stale");
    vi.advanceTimersByTime(39_999);
    expect(sockets).toHaveLength(1);
    expect(phase()).toBe("stale");
    vi.advanceTimersByTime(1);
    expect(phase()).toBe("reconnecting");
  });

  test("a socket that never greets is given up", () => {
    connect();
    vi.advanceTimersByTime(10_000);
    expect(phase()).toBe("reconnecting");
    expect(socket().readyState).toBe(3);
  });

  test("says since when it is lost and when it tries again, waiting longer each time", () => {
    connect();
    socket().greets();
    vi.advanceTimersByTime(1_000);
    socket().fails();
    expect(states.at(-1)).toEqual({ phase: "reconnecting", since: 1_000_000, retryAt: 1_001_500 });
    for (const delay of [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]) {
      const attempts = sockets.length;
      vi.advanceTimersByTime(delay - 1);
      expect(sockets).toHaveLength(attempts);
      vi.advanceTimersByTime(1);
      expect(sockets).toHaveLength(attempts + 1);
      expect(states.at(-1)).toEqual({ phase: "reconnecting", since: 1_000_000, retryAt: null });
      socket().fails();
    }
  });

  test("the waits begin anew after a greeting, not after a mere open", () => {
    connect();
    socket().fails();
    vi.advanceTimersByTime(500);
    socket().readyState = 1;
    socket().fails();
    expect(states.at(-1)).toMatchObject({ retryAt: Date.now() + 1_000 });
    vi.advanceTimersByTime(1_000);
    socket().greets();
    socket().fails();
    expect(states.at(-1)).toMatchObject({ retryAt: Date.now() + 500 });
  });

  test("an agent that goes away says when to come back", () => {
    connect();
    socket().greets();
    socket().fails(1001, '{"reconnectAfterMs":4000}');
    expect(states.at(-1)).toMatchObject({ retryAt: Date.now() + 4_500 });
  });

  test("retryNow skips the wait, once", () => {
    const connection = connect();
    socket().greets();
    socket().fails();
    connection.retryNow();
    connection.retryNow();
    expect(sockets).toHaveLength(2);
    vi.advanceTimersByTime(600);
    expect(sockets).toHaveLength(2);
  });

  test("what an abandoned socket still says is not heard", () => {
    connect();
    const first = socket();
    vi.advanceTimersByTime(10_500);
    expect(sockets).toHaveLength(2);
    first.greets();
    first.fails();
    expect(frames).toEqual([]);
    expect(phase()).toBe("reconnecting");
    socket().greets();
    expect(phase()).toBe("live");
  });

  test("garbage is ignored", () => {
    connect();
    socket().greets();
    socket().onmessage?.({ data: "{" });
    expect(frames).toHaveLength(1);
    expect(phase()).toBe("live");
  });

  test("numbers its requests and refuses them when nothing is open", () => {
    const connection = connect();
    expect(connection.request({ type: "ping" })).toBeNull();
    socket().greets();
    expect(connection.request({ type: "subscribe", channel: "metrics:a", shape: "columns" })).toBe(1);
    expect(connection.request({ type: "ping" })).toBe(2);
    expect(socket().sent[0]).toEqual({ id: 1, type: "subscribe", channel: "metrics:a", shape: "columns" });
  });

  test("stops for good", () => {
    const connection = connect();
    socket().greets();
    connection.stop();
    socket().fails();
    vi.advanceTimersByTime(100_000);
    expect(sockets).toHaveLength(1);
  });
});
