import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { dirname, join } from "node:path";
import { defineConfig, type Plugin } from "vite";

// The server that `npm run dev` stands in front of.
const served = process.env.PULLWRIGHT_SERVED ?? "http://127.0.0.1:8400";

/**
 * Of @pierre/diffs only what shows differences is taken along, of its themes the two that `Diff.tsx` names, and of its three
 * highlighters only its own (docs/decisions).
 * That one comes with its program as text in a module; here it is a file of its own, so that it is a third smaller and kept
 * by the browser.
 */
function onlyDifferences(): Plugin {
  const program = "\0program:";
  const leftOut = "\0left-out";
  return {
    name: "only-differences",
    enforce: "pre",
    resolveId(id, from) {
      if (id.endsWith("/highlights.wasm.mjs") && from) return program + join(dirname(from), "highlights.wasm");
      if (id === "./VirtualizedFile.js") return leftOut; // whole files, without a difference
      if (/^@pierre\/highlights\/themes\/(?!github-(light|dark)-high-contrast$|loader)/.test(id)) return leftOut;
      return /^shiki\/(langs|wasm|engine)|\/backends\/shiki\.js$|^@pierre\/theming\/themes$/.test(id) ? leftOut : undefined;
    },
    load(id) {
      if (id === leftOut) return "export class VirtualizedFile {}";
      if (!id.startsWith(program)) return undefined;
      return [
        `import address from ${JSON.stringify(`${id.slice(program.length)}?url`)};`,
        "export default new Uint8Array(await (await fetch(address)).arrayBuffer());",
      ].join("\n");
    },
  };
}

export default defineConfig({
  plugins: [onlyDifferences(), react(), tailwindcss()],
  cacheDir: ".cache/vite",
  build: {
    outDir: "../src/pullwright/web",
    emptyOutDir: true,
    target: "es2023",
    assetsInlineLimit: 0, // data: addresses would need a wider Content-Security-Policy
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 900,
    rolldownOptions: {
      checks: { pluginTimings: false },
      // What every page needs is one file: twenty small ones compress a tenth worse, and the browser asks for each.
      output: { codeSplitting: { groups: [{ name: "shell", tags: ["$initial"] }] } },
    },
  },
  server: {
    proxy: { "/api": { target: served, changeOrigin: true } },
  },
});
