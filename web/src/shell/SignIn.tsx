import { queryOptions, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useState } from "react";

import { type Schema, api, got } from "../api/client";
import { Failure } from "../api/problem";
import { meQuery } from "../api/queries";
import { Button, buttonClass } from "../parts/Button";
import { Field, Input } from "../parts/Field";
import { ErrorBox } from "../parts/Says";
import { useBrought } from "./brought";

type Way = Schema<"SignIn">;

const AGAIN = "Sign in again; if it stays so, tell an admin.";

/** Why the issuer's word lets nobody in. The server names one of these; nothing else in the address is shown. */
const REFUSED: Record<string, [title: string, detail: string]> = {
  denied: ["You were not signed in", "The sign-in was refused or broken off there. Begin again, or sign in with a token."],
  stale: ["That sign-in has ended", "It took longer than ten minutes, was used before, or began in another browser. Begin again here."],
  unreachable: ["The sign-in service does not answer", "Try again in a minute, or sign in with a token."],
  misconfigured: [
    "Signing in there is not set up right",
    "An admin finds the reason in the output of `pullwright serve`, and `pullwright user sign-in` shows what has to be registered. A token signs in meanwhile.",
  ],
  unfit: ["The answer of the sign-in service does not fit", `${AGAIN} The reason is in the output of \`pullwright serve\`.`],
  unverified: [
    "Your mail address is not verified there",
    "Verify it at the sign-in service and sign in again, or ask an admin for an account: `pullwright user add NAME`.",
  ],
  unknown: [
    "You have no account here",
    "You are signed in there, but none of your groups may use this server. An admin lets you in: `pullwright user add NAME --email ADDRESS`, or a group in PULLWRIGHT_OIDC_MEMBERS.",
  ],
  removed: ["Your account here was removed", "An admin can make another one."],
};

interface Brought {
  refused?: Failure | undefined;
  left?: string | undefined;
}

function broughtBy(given: URLSearchParams): Brought {
  const why = given.get("sign-in");
  const [title, detail] = REFUSED[why ?? ""] ?? ["You were not signed in", AGAIN];
  return {
    refused: why === null ? undefined : new Failure(403, title, detail),
    left: given.get("signed-out") ?? undefined,
  };
}

/** Signs this browser in. */
export function useSignIn() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (way: Way) => got(api.POST("/api/v1/session", { body: way })),
    onSuccess: () => client.resetQueries({ queryKey: meQuery.queryKey }),
  });
}

/** Who else vouches for people, if the server trusts anybody to. */
const waysQuery = queryOptions({
  queryKey: ["ways"],
  queryFn: ({ signal }) => got(api.GET("/api/v1/session/ways", { signal })),
  staleTime: Infinity,
});

/** Who is not signed in sees this and nothing else. */
export function SignIn() {
  const signIn = useSignIn();
  const [token, setToken] = useState("");
  const ways = useQuery(waysQuery);
  const { mutate } = signIn;
  const [brought, setBrought] = useState<Brought>({});
  const take = useCallback(
    (given: URLSearchParams) => {
      setBrought(broughtBy(given));
      const code = given.get("code");
      if (code) mutate({ code });
    },
    [mutate],
  );
  useBrought(take);
  const failed = signIn.error ?? (signIn.isIdle ? brought.refused : undefined);

  return (
    <main className="mx-auto flex min-h-dvh max-w-sm flex-col justify-center gap-6 px-4 pb-24">
      <header className="flex flex-col items-center gap-3 text-center">
        <img src="/icon.svg" alt="" width={44} height={44} />
        <h1 className="text-xl font-semibold">Sign in to Pullwright</h1>
      </header>
      <form
        className="flex flex-col gap-4 rounded-lg bg-raised p-5 shadow-raised"
        onSubmit={(event) => {
          event.preventDefault();
          mutate({ token: token.trim() });
        }}
      >
        {failed && <ErrorBox error={failed} />}
        {brought.left && (
          <p role="status" className="text-sm text-text-2">
            {brought.left === "everywhere"
              ? `You are signed out, at ${ways.data?.oidc ?? "the sign-in service"} too.`
              : `You are signed out here. ${ways.data?.oidc ?? "The sign-in service"} may still know this browser: sign out there as well if others use it.`}
          </p>
        )}
        <Field label="Token" hint={
            <>
              <code className="font-mono">pullwright serve</code> prints one; <code className="font-mono">pullwright token create NAME</code> makes more.
            </>
          }>
          {(given) => (
            <Input {...given} type="password" autoFocus autoComplete="current-password" value={token} onChange={(event) => setToken(event.target.value)} className="font-mono" />
          )}
        </Field>
        <Button type="submit" look="primary" busy={signIn.isPending} disabled={token.trim() === ""}>
          Sign in
        </Button>
        {ways.data?.oidc && (
          <a className={buttonClass({})} href={`/api/v1/session/oidc?back=${encodeURIComponent(location.pathname + location.search)}`}>
            Sign in with {ways.data.oidc}
          </a>
        )}
      </form>
    </main>
  );
}
