import { defineConfig } from "vite";
import { compression } from "./build/compression.ts";

/** The agent sends `default-src 'self'`, so nothing may be inlined: no script, no `data:` asset. */
export default defineConfig({
  base: "/dashboard/",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  plugins: [compression({ scriptBudgetBytes: 120_000 })],
  server: {
    proxy: {
      "/api": "http://127.0.0.1:10132",
      "/ws": { target: "ws://127.0.0.1:10132", ws: true },
    },
  },
});
