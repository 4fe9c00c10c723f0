import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { dirname, join } from "node:path";
import { defineConfig, type Plugin } from "vite";

// The server that `npm run dev` stands in front of.
const served = process.env.PULLWRIGHT_SERVED ?? "http://127.0.0.1:8400";

/**
 * Of the three highlighters that @pierre/diffs can use only its own is taken along (docs/decisions). It comes with its program
 * as text in a module; here that is a file of its own, so that it is a third smaller and kept by the browser.
 */
function oneHighlighter(): Plugin {
  const program = "\0program:";
  const leftOut = "\0left-out";
  return {
    name: "one-highlighter",
    enforce: "pre",
    resolveId(id, from) {
      if (id.endsWith("/highlights.wasm.mjs") && from) return program + join(dirname(from), "highlights.wasm");
      return /^shiki\/(langs|wasm|engine)|\/backends\/shiki\.js$|^@pierre\/theming\/themes$/.test(id) ? leftOut : undefined;
    },
    load(id) {
      if (id === leftOut) return "export {};";
      if (!id.startsWith(program)) return undefined;
      return [
        `import address from ${JSON.stringify(`${id.slice(program.length)}?url`)};`,
        "export default new Uint8Array(await (await fetch(address)).arrayBuffer());",
      ].join("\n");
    },
  };
}

// What every page needs is one file: sixteen small ones compress a tenth worse, and the browser asks for each.
const SHELL =
  /node_modules\/(react|react-dom|scheduler|use-sync-external-store|@tanstack\/(react-router|router-core|history|store|react-store|react-query|query-core))\/|web\/src\/(main|router|shell\/(Shell|keys|theme|endings)|api\/\w+|parts\/(Icon|Menu|Button|Toast|words|Says|Tooltip|Keys|class))\.tsx?$/;

export default defineConfig({
  plugins: [oneHighlighter(), react(), tailwindcss()],
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
      output: { codeSplitting: { groups: [{ name: "shell", test: SHELL }] } },
    },
  },
  server: {
    proxy: { "/api": { target: served, changeOrigin: true } },
  },
});
