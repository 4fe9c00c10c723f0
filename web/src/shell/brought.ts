import { useEffect } from "react";

const OURS = ["code", "sign-in", "signed-out"];

/** Takes what concerns signing in out of the address, so that no history and no copied address keeps it. */
function taken(): URLSearchParams | null {
  const given = new URLSearchParams(location.hash.slice(1));
  if (!OURS.some((name) => given.has(name))) return null;
  history.replaceState(history.state, "", location.pathname + location.search);
  return given;
}

/**
 * What the address brings behind `#`, where no server and no log sees it: a code of `pullwright serve`, or what became
 * of a way to the issuer and back. It may be opened in a tab that is here already: then only what is behind `#` changes.
 */
export function useBrought(act?: (given: URLSearchParams) => void) {
  useEffect(() => {
    const take = () => {
      const given = taken();
      if (given) act?.(given);
    };
    take();
    addEventListener("hashchange", take);
    return () => removeEventListener("hashchange", take);
  }, [act]);
}
