import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import { compressFolder, stampFolder } from "./compression.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "compression-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

test("both encodings hold the same bytes as the file, and only script counts against the budget", () => {
  const script = "const answer = 42;\n".repeat(200);
  writeFileSync(join(folder, "page.js"), script);
  writeFileSync(join(folder, "page.css"), "a{color:red}".repeat(200));
  const report = compressFolder(folder);
  expect(gunzipSync(readFileSync(join(folder, "page.js.gz"))).toString()).toBe(script);
  expect(brotliDecompressSync(readFileSync(join(folder, "page.js.br"))).toString()).toBe(script);
  expect(report.scriptGzipBytes).toBe(readFileSync(join(folder, "page.js.gz")).length);
  expect(report.files.map((file) => file.path)).toEqual(["page.css", "page.js"]);
});

test("a file that does not shrink gets no compressed copy, and a second run leaves the first run's copies alone", () => {
  writeFileSync(join(folder, "tiny.txt"), "x");
  writeFileSync(join(folder, "page.js"), "let a;\n".repeat(99));
  compressFolder(folder);
  const report = compressFolder(folder);
  expect(() => readFileSync(join(folder, "tiny.txt.gz"))).toThrow();
  expect(report.files.map((file) => file.path)).toEqual(["page.js", "tiny.txt"]);
});

test("the stamp's name changes with any file's content and with nothing else", () => {
  writeFileSync(join(folder, "index.html"), "one");
  const first = stampFolder(folder);
  expect(stampFolder(folder)).toBe(first);
  writeFileSync(join(folder, "index.html"), "two");
  expect(stampFolder(folder)).not.toBe(first);
});
