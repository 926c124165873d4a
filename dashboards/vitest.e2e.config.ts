import { defineConfig } from "vitest/config";

/** The files run one after the other: several agents and browsers at once would disturb the figures they compare. */
export default defineConfig({
  test: {
    include: ["e2e/**/*.test.ts"],
    environment: "node",
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 60_000,
  },
});
