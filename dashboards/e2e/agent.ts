/**
 * The real agent as a child process with a data folder of its own. `TEST_AGENT` names the binary; there is no default,
 * so that a test never runs against something else by accident.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

export interface Agent {
  pid: number;
  /** The page's address. */
  page: string;
  /** `HOST:PORT`, for another start on the same port. */
  address: string;
  /** What it is started in, and keeps its data under. */
  folder: string;
  /** Ends it as a crash does; its folder stays for another start when `keep` says so. */
  kill(keep?: "keep"): Promise<void>;
  /** Ends it in order. */
  stop(): Promise<void>;
}

export interface AgentOptions {
  /** Of an earlier agent, to be found at the same place again. */
  address?: string;
  /** Of an earlier agent, to go on with its data. */
  folder?: string;
  /** Text of `config.toml`. */
  config?: string;
}

/** The agent writes to disk every 10 s; what is older than this outlives a crash. */
export const SAFE_MS = 12_000;

const READY_MAX_MS = 20_000;

export async function startAgent(options: AgentOptions = {}): Promise<Agent> {
  const binary = process.env.TEST_AGENT;
  if (!binary) throw new Error("TEST_AGENT is not set; it names the agent's binary");
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), "barograph-e2e-"));
  if (options.config !== undefined) writeFileSync(join(folder, "config.toml"), options.config);
  const address = options.address ?? "127.0.0.1:0";
  const child = spawn(binary, ["run"], {
    cwd: folder,
    env: { ...process.env, BAROGRAPH_LISTEN: address, BAROGRAPH_DATA_DIR: join(folder, "data") },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const log: string[] = [];
  createInterface({ input: child.stderr }).on("line", (line) => log.push(line));
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const end = async (signal: NodeJS.Signals, keep?: "keep") => {
    child.kill(signal);
    await exited;
    if (!keep) rmSync(folder, { recursive: true, force: true });
  };
  try {
    const page = await listeningAt(child, log);
    return {
      pid: child.pid as number,
      page,
      address: new URL(page).host,
      folder,
      kill: (keep) => end("SIGKILL", keep),
      stop: () => end("SIGTERM"),
    };
  } catch (failure) {
    await end("SIGKILL");
    throw failure;
  }
}

function listeningAt(child: ChildProcess, log: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (what: string) => reject(new Error(`the agent ${what}; its log:\n${log.join("\n")}`));
    const limit = setTimeout(() => fail("did not say that it listens"), READY_MAX_MS);
    child.once("error", (failure) => fail(`could not be started: ${failure.message}`));
    child.once("exit", (code, signal) => fail(`ended at once with ${code ?? signal}`));
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
      const address = /^listening on (http:\S+)$/.exec(line)?.[1];
      if (!address) return;
      clearTimeout(limit);
      resolve(address);
    });
  });
}
