import { queryOptions, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { type Schema, api, got } from "../api/client";
import { meQuery } from "../api/queries";
import { Button, buttonClass } from "../parts/Button";
import { Field, Input } from "../parts/Field";
import { ErrorBox } from "../parts/Says";

type Way = Schema<"SignIn">;

/** The address that `pullwright serve` prints carries a code behind `#`, where no server and no log sees it. */
function codeInAddress(): string {
  const code = new URLSearchParams(location.hash.slice(1)).get("code") ?? "";
  if (code) history.replaceState(null, "", location.pathname + location.search);
  return code;
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
  useEffect(() => {
    const code = codeInAddress();
    if (code) mutate({ code });
  }, [mutate]);

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
        {signIn.error && <ErrorBox error={signIn.error} />}
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
