/**
 * The page's one WebSocket: it connects, watches for silence, waits and connects again, for as long as the page is
 * open. It reports a state that never claims more than it knows, and hands every decoded frame on. What to subscribe
 * to is its owner's business, which is told by an `initial` frame that a connection is ready.
 */
import { backoffDelayMs, requestedDelayMs } from "./backoff";
import { decodeFrame, type Frame } from "./frame";
import type { ClientRequest } from "./wire";

export type ConnectionState =
  | { phase: "connecting"; since: number }
  | { phase: "live"; since: number }
  /** Open, but no event came since `since`. */
  | { phase: "stale"; since: number }
  /** Lost at `since`; the next attempt is at `retryAt`, or is being made when that is null. */
  | { phase: "reconnecting"; since: number; retryAt: number | null };

/** No event for this long and what is shown is no longer current. */
export const STALE_AFTER_MS = 3_000;
export const PING_EVERY_MS = 15_000;
/** No message at all, not even a ping's answer: the network took the connection without saying so. */
export const SILENCE_MAX_MS = 40_000;
/** A socket that opens but says nothing is given up. */
export const GREETING_MAX_MS = 10_000;

export type RequestBody = Omit<ClientRequest, "id">;

export interface ConnectionOptions {
  url: string;
  onFrame: (frame: Frame) => void;
  onState: (state: ConnectionState) => void;
  /** Stand-ins for tests; the browser's own otherwise. */
  socket?: (url: string) => WebSocket;
  random?: () => number;
}

export class Connection {
  private readonly options: ConnectionOptions;
  private socket: WebSocket | null = null;
  private state: ConnectionState;
  private attempt = 0;
  private requestId = 0;
  private retryTimer: ReturnType<typeof setTimeout> | undefined;
  private staleTimer: ReturnType<typeof setTimeout> | undefined;
  private silenceTimer: ReturnType<typeof setTimeout> | undefined;
  private pingTimer: ReturnType<typeof setInterval> | undefined;
  private lastEventAt = 0;
  private greeted = false;
  private stopped = false;

  constructor(options: ConnectionOptions) {
    this.options = options;
    this.state = { phase: "connecting", since: Date.now() };
  }

  start(): void {
    this.options.onState(this.state);
    this.open();
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.retryTimer);
    this.drop();
  }

  /** Sends a request and returns its id; null when there is no open connection to send it on. */
  request(body: RequestBody): number | null {
    if (this.socket?.readyState !== 1) return null;
    this.requestId += 1;
    this.socket.send(JSON.stringify({ id: this.requestId, ...body }));
    return this.requestId;
  }

  /** Skips what is left of the wait: the network is back, or somebody looks at the page again. */
  retryNow(): void {
    if (this.stopped || this.state.phase !== "reconnecting" || this.state.retryAt === null) return;
    clearTimeout(this.retryTimer);
    this.open();
  }

  private open(): void {
    if (this.state.phase === "reconnecting") this.enter({ ...this.state, retryAt: null });
    let socket: WebSocket;
    try {
      socket = this.options.socket?.(this.options.url) ?? new WebSocket(this.options.url);
    } catch {
      this.lost(null);
      return;
    }
    this.socket = socket;
    this.greeted = false;
    const own = (react: () => void) => () => {
      if (this.socket === socket) react();
    };
    socket.onmessage = (message) => {
      if (this.socket === socket) this.receive(message.data);
    };
    socket.onclose = (close) => {
      if (this.socket === socket) this.lost(requestedDelayMs(close.code, close.reason));
    };
    this.silenceTimer = setTimeout(
      own(() => this.lost(null)),
      GREETING_MAX_MS,
    );
  }

  private receive(text: unknown): void {
    if (typeof text !== "string") return;
    const frame = decodeFrame(text);
    if (this.greeted) this.watchSilence();
    if (!frame) return;
    if (frame.kind === "initial") this.greet();
    if (frame.kind !== "reply") this.noteEvent();
    this.options.onFrame(frame);
  }

  private greet(): void {
    this.greeted = true;
    this.attempt = 0;
    this.watchSilence();
    clearInterval(this.pingTimer);
    this.pingTimer = setInterval(() => this.request({ type: "ping" }), PING_EVERY_MS);
    this.enter({ phase: "live", since: Date.now() });
  }

  private noteEvent(): void {
    this.lastEventAt = Date.now();
    if (!this.greeted) return;
    if (this.state.phase === "stale") this.enter({ phase: "live", since: this.lastEventAt });
    clearTimeout(this.staleTimer);
    this.staleTimer = setTimeout(
      () => this.enter({ phase: "stale", since: this.lastEventAt }),
      STALE_AFTER_MS,
    );
  }

  private watchSilence(): void {
    clearTimeout(this.silenceTimer);
    this.silenceTimer = setTimeout(() => this.lost(null), SILENCE_MAX_MS);
  }

  private lost(requested: number | null): void {
    this.drop();
    if (this.stopped) return;
    const random = (this.options.random ?? Math.random)();
    // The agent names the earliest moment; the jitter keeps everybody from returning at exactly that one.
    const delay = requested === null ? backoffDelayMs(this.attempt, random) : requested + 1_000 * random;
    this.attempt += 1;
    const now = Date.now();
    const since = this.state.phase === "reconnecting" ? this.state.since : this.lastEventAt || now;
    this.enter({ phase: "reconnecting", since, retryAt: now + delay });
    this.retryTimer = setTimeout(() => this.open(), delay);
  }

  private drop(): void {
    clearTimeout(this.staleTimer);
    clearTimeout(this.silenceTimer);
    clearInterval(this.pingTimer);
    const socket = this.socket;
    this.socket = null;
    if (socket && socket.readyState < 2) socket.close();
  }

  private enter(state: ConnectionState): void {
    this.state = state;
    this.options.onState(state);
  }
}
