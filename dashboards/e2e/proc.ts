/** What the kernel says, as the second opinion on the page's figures. */
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/** A field of /proc/meminfo in bytes. */
export function memoryBytes(field: string): number {
  const line = readFileSync("/proc/meminfo", "utf8")
    .split("\n")
    .find((each) => each.startsWith(`${field}:`));
  if (!line) throw new Error(`/proc/meminfo has no ${field}`);
  return Number(line.split(/\s+/)[1]) * 1024;
}

export interface CpuTimes {
  at: number;
  /** Clock ticks of all processors: in use, and all. */
  busy: number;
  total: number;
}

/** In use is neither idle nor waiting for IO; guest time is in user time already. */
export function cpuTimes(): CpuTimes {
  const fields =
    readFileSync("/proc/stat", "utf8").split("\n")[0]?.trim().split(/\s+/).slice(1, 9).map(Number) ?? [];
  const total = fields.reduce((sum, each) => sum + each, 0);
  return { at: Date.now(), busy: total - (fields[3] ?? 0) - (fields[4] ?? 0), total };
}

/** Processes that `parent` started whose command line holds `word`. */
export function childrenOf(parent: number, word: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
        const ppid = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
        const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
        return ppid === parent && words.includes(word);
      } catch {
        // It ended while it was looked at.
        return false;
      }
    });
}

/**
 * Keeps half a processor busy, and takes and gives back memory, until the returned function is called.
 * Another process's memory, because what this one frees it also reuses, which the kernel doesn't see.
 */
export function makeLoad(): () => void {
  const busy = "const end = Date.now() + 50; while (Date.now() < end);";
  const memory = "if (held.length === 16) held = []; held.push(Buffer.alloc(2 ** 24, 1));";
  const child = spawn(
    process.execPath,
    ["-e", `let held = []; setInterval(() => { ${memory} ${busy} }, 100)`],
    { stdio: "ignore" },
  );
  return () => {
    child.kill("SIGKILL");
  };
}
