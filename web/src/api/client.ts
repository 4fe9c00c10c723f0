import type { Client } from "openapi-fetch";

import { Failure, failureOf, unreachable } from "./problem";
import type { components, paths } from "./schema";

/** The API's forms by name: `Schema<"TaskView">`. */
export type Schema<Name extends keyof components["schemas"]> = components["schemas"][Name];

interface Asked {
  params?: { path?: Record<string, unknown>; query?: Record<string, unknown>; header?: Record<string, unknown> };
  body?: unknown;
  signal?: AbortSignal;
}

function addressOf(path: string, { params }: Asked): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(params?.path?.[name])));
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params?.query ?? {})) {
    for (const one of Array.isArray(value) ? value : [value]) if (one !== undefined && one !== null) query.append(name, String(one));
  }
  const asked = query.toString();
  return asked ? `${filled}?${asked}` : filled;
}

const asking = (method: string) => async (path: string, asked: Asked = {}) => {
  const response = await fetch(addressOf(path, asked), {
    method,
    credentials: "same-origin",
    headers: {
      "X-Pullwright": "1",
      ...(asked.body === undefined ? {} : { "Content-Type": "application/json" }),
      ...(asked.params?.header as Record<string, string> | undefined),
    },
    body: asked.body === undefined ? null : JSON.stringify(asked.body),
    signal: asked.signal ?? null,
  });
  const written = await response.text();
  const json = /json/.test(response.headers.get("content-type") ?? "");
  const said: unknown = json && written ? JSON.parse(written) : written || undefined;
  return response.ok ? { data: said, response } : { error: said, response };
};

// The types are openapi-fetch's over the generated document; what runs is the few lines above, a tenth of its size.
export const api = {
  GET: asking("GET"),
  POST: asking("POST"),
  PUT: asking("PUT"),
  PATCH: asking("PATCH"),
  DELETE: asking("DELETE"),
} as unknown as Pick<Client<paths>, "GET" | "POST" | "PUT" | "PATCH" | "DELETE">;

const signedOut = new Set<() => void>();

/** Hear when the server no longer knows this browser. */
export function onSignedOut(listener: () => void): () => void {
  signedOut.add(listener);
  return () => signedOut.delete(listener);
}

type Answer<Data> = { data?: Data; error?: unknown; response: Response };

/** What a request answers; a problem is thrown as a `Failure`. */
export async function got<Data>(request: Promise<Answer<Data>>): Promise<Data> {
  let answer: Answer<Data>;
  try {
    answer = await request;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw unreachable();
  }
  if (!answer.response.ok) {
    // Signing in may fail as well: that changes nothing about who is signed in.
    if (answer.response.status === 401 && !answer.response.url.endsWith("/session")) for (const tell of signedOut) tell();
    throw failureOf(answer.response, answer.error);
  }
  return answer.data as Data;
}

async function plain(address: string, headers: Record<string, string>, signal?: AbortSignal): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(address, { credentials: "same-origin", headers, signal: signal ?? null });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw unreachable();
  }
  if (response.ok) return response;
  const body: unknown = await response.json().catch(() => null);
  throw failureOf(response, body);
}

/** A plain-text route. */
export async function text(address: string, signal?: AbortSignal): Promise<string> {
  return (await plain(address, {}, signal)).text();
}

/** Bytes `from` to `to` of a plain-text route, the last one included. */
export async function bytesOf(address: string, from: number, to: number, signal?: AbortSignal): Promise<ArrayBuffer> {
  return (await plain(address, { Range: `bytes=${from}-${to}` }, signal)).arrayBuffer();
}

/** Whether trying again may help without anybody doing anything. */
export function passing(error: unknown): boolean {
  return error instanceof Failure && (error.status === 0 || error.status === 502 || error.status === 504);
}
