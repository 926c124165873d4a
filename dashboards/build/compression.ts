/**
 * Writes `.br` and `.gz` beside every built file that they make smaller, so that the agent only copies bytes,
 * and holds the budget of script that the page may cost. It runs after Vite has written `dist/`, and never
 * changes a file that Vite wrote.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import type { Plugin } from "vite";

const COMPRESSED = /\.(br|gz|stamp)$/;
const STAMP = /\.stamp$/;
/** Formats that are compressed already: a second pass only costs time. */
const DENSE = /\.(png|woff2|webp)$/;

export interface CompressionOptions {
  /** The most that all JavaScript together may weigh, gzipped. */
  scriptBudgetBytes: number;
}

export interface CompressionReport {
  scriptGzipBytes: number;
  files: { path: string; bytes: number; gzipBytes: number; brotliBytes: number }[];
}

export function compressFolder(folder: string): CompressionReport {
  const report: CompressionReport = { scriptGzipBytes: 0, files: [] };
  for (const path of filesUnder(folder)) {
    if (COMPRESSED.test(path) || DENSE.test(path)) continue;
    const body = readFileSync(path);
    const gzip = gzipSync(body, { level: 9 });
    const brotli = brotliCompressSync(body, {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
        [constants.BROTLI_PARAM_SIZE_HINT]: body.length,
      },
    });
    if (gzip.length < body.length) writeFileSync(`${path}.gz`, gzip);
    if (brotli.length < body.length) writeFileSync(`${path}.br`, brotli);
    if (path.endsWith(".js")) report.scriptGzipBytes += gzip.length;
    report.files.push({
      path: relative(folder, path),
      bytes: body.length,
      gzipBytes: gzip.length,
      brotliBytes: brotli.length,
    });
  }
  return report;
}

/**
 * Writes an empty file whose name is a hash of everything that was built. Cargo compares times, and a `dist/` that
 * is restored from a cache has old ones; a name that is gone is always noticed.
 */
export function stampFolder(folder: string): string {
  const hash = createHash("sha256");
  for (const path of filesUnder(folder)) {
    if (STAMP.test(path)) continue;
    hash.update(relative(folder, path)).update("\0").update(readFileSync(path));
  }
  const name = `built-${hash.digest("hex").slice(0, 16)}.stamp`;
  writeFileSync(join(folder, name), "");
  return name;
}

function filesUnder(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

export function compression(options: CompressionOptions): Plugin {
  let folder = "dist";
  return {
    name: "barograph-compression",
    apply: "build",
    configResolved(config) {
      folder = join(config.root, config.build.outDir);
    },
    closeBundle() {
      const report = compressFolder(folder);
      stampFolder(folder);
      for (const file of report.files) {
        console.log(`${file.path}  ${file.bytes} B, gzip ${file.gzipBytes} B, brotli ${file.brotliBytes} B`);
      }
      const figure = `script ${(report.scriptGzipBytes / 1000).toFixed(1)} kB gzipped of ${options.scriptBudgetBytes / 1000} kB`;
      if (report.scriptGzipBytes > options.scriptBudgetBytes) throw new Error(`over the budget: ${figure}`);
      console.log(`within the budget: ${figure}`);
    },
  };
}
