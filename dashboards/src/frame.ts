/**
 * Reads what the agent sends into one closed union. Text that is no such message becomes null, because the page
 * must outlive an agent that is newer than itself. It holds no state: tables are remembered in `model/history`.
 */
import type { AlertInfo, BasicMetrics, ColumnsData, InitialData, ServerEvent, ServerReply } from "./wire";

export type Frame =
  | { kind: "initial"; at: number; data: InitialData }
  | { kind: "columns"; at: number; channel: string; data: ColumnsData }
  | { kind: "basic"; at: number; data: BasicMetrics }
  | { kind: "alert"; at: number; data: AlertInfo }
  | { kind: "skipped"; at: number; channel: string }
  | { kind: "reply"; reply: ServerReply };

export function decodeFrame(text: string): Frame | null {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isRecord(message)) return null;
  if (typeof message.event === "string") return decodeEvent(message as unknown as ServerEvent<unknown>);
  if (
    (typeof message.id === "number" || message.id === null) &&
    (message.type === "ok" || message.type === "error")
  ) {
    return { kind: "reply", reply: message as unknown as ServerReply };
  }
  return null;
}

function decodeEvent(event: ServerEvent<unknown>): Frame | null {
  const { at, channel, data }: { at: unknown; channel: unknown; data: unknown } = event;
  if (typeof at !== "number" || typeof channel !== "string" || !isRecord(data)) return null;
  if (event.event === "initialData") {
    return typeof data.agentId === "string" && Array.isArray(data.topics)
      ? { kind: "initial", at, data: data as unknown as InitialData }
      : null;
  }
  if (event.event === "basic-metrics") {
    return Array.isArray(data.components)
      ? { kind: "basic", at, data: data as unknown as BasicMetrics }
      : null;
  }
  if (event.event === "dashboard-alert" || event.event === "dashboard-alert-resolved") {
    return typeof data.id === "string" && typeof data.state === "string"
      ? { kind: "alert", at, data: data as unknown as AlertInfo }
      : null;
  }
  if (event.event === "skipped") return { kind: "skipped", at, channel };
  if (typeof data.table === "number" && typeof data.collector === "string" && isRecord(data.values)) {
    return { kind: "columns", at, channel, data: data as unknown as ColumnsData };
  }
  return null;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
