import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useNavigate, useRouterState } from "@tanstack/react-router";
import { lazy, Suspense, useEffect, useState } from "react";

import { type Schema, api, got, onSignedOut } from "../api/client";
import { hushNews, useNewsState } from "../api/news";
import { Failure } from "../api/problem";
import { meQuery } from "../api/queries";
import { IconButton } from "../parts/Button";
import { cls } from "../parts/class";
import { Icon, type IconName } from "../parts/Icon";
import { Keys } from "../parts/Keys";
import { Menu } from "../parts/Menu";
import { ErrorBox, Loading } from "../parts/Says";
import { tellFailure, Toasts } from "../parts/Toast";
import { useBrought } from "./brought";
import { hearKeys, useCommands } from "./keys";
import { type Theme, useTheme } from "./theme";
import { useTellEndings } from "./endings";

const Palette = lazy(() => import("./Palette").then((module) => ({ default: module.Palette })));
const SignIn = lazy(() => import("./SignIn").then((module) => ({ default: module.SignIn })));
const ShortcutOverlay = lazy(() => import("./Palette").then((module) => ({ default: module.ShortcutOverlay })));

const PLACES: { to: string; label: string; icon: IconName; keys: string }[] = [
  { to: "/", label: "Tasks", icon: "home", keys: "g h" },
  { to: "/environments", label: "Environments", icon: "box", keys: "g e" },
  { to: "/usage", label: "Usage", icon: "chart", keys: "g u" },
  { to: "/admin", label: "Admin", icon: "gear", keys: "g a" },
];

/** Whoever is signed in sees the console; anybody else the way in. */
export function Shell() {
  const client = useQueryClient();
  const me = useQuery(meQuery);
  useEffect(
    () =>
      onSignedOut(() => {
        hushNews();
        client.setQueryData(meQuery.queryKey, undefined);
        void client.invalidateQueries({ queryKey: meQuery.queryKey });
      }),
    [client],
  );
  if (me.data) return <Frame />;
  if (me.error instanceof Failure && me.error.status === 401) {
    return (
      <>
        <Suspense>
          <SignIn />
        </Suspense>
        <Toasts />
      </>
    );
  }
  if (me.error) {
    return (
      <main className="mx-auto max-w-lg px-4 py-24">
        <ErrorBox error={me.error} again={() => void me.refetch()} />
      </main>
    );
  }
  return <Loading />;
}

function Frame() {
  const [over, setOver] = useState<"palette" | "shortcuts" | null>(null);
  const navigate = useNavigate();
  const [theme, setTheme] = useTheme();
  const close = () => setOver(null);
  useEffect(hearKeys, []);
  useTellEndings();
  useBrought(); // whoever is signed in needs none of it
  useCommands([
    { group: "Anywhere", label: "Command palette", keys: "mod+k", writing: true, hidden: true, act: () => setOver("palette") },
    { group: "Anywhere", label: "Keyboard shortcuts", keys: "?", act: () => setOver("shortcuts") },
    { group: "Anywhere", label: "New task", keys: "c", act: () => void navigate({ to: "/", search: { compose: true } }) },
    ...PLACES.map((place) => ({ group: "Go to", label: place.label, keys: place.keys, act: () => void navigate({ to: place.to }) })),
    ...(["light", "dark", "system"] as Theme[])
      .filter((one) => one !== theme)
      .map((one) => ({ group: "Appearance", label: `Theme: ${one}`, words: "colour dark light mode", act: () => setTheme(one) })),
  ]);
  return (
    <div className="flex h-dvh flex-col">
      <a href="#content" className="absolute -top-20 left-2 z-50 rounded bg-ink px-3 py-2 text-on-ink focus:top-2">
        Skip to the content
      </a>
      <Top onPalette={() => setOver("palette")} onShortcuts={() => setOver("shortcuts")} />
      <main id="content" tabIndex={-1} className="min-h-0 flex-1 overflow-hidden outline-none">
        <Outlet />
      </main>
      <Bottom />
      <Toasts />
      <Suspense>
        {over === "palette" && <Palette onClose={close} />}
        {over === "shortcuts" && <ShortcutOverlay onClose={close} />}
      </Suspense>
    </div>
  );
}

function Top({ onPalette, onShortcuts }: { onPalette: () => void; onShortcuts: () => void }) {
  const client = useQueryClient();
  const me = useQuery(meQuery);
  const [theme, setTheme] = useTheme();
  const signOut = async () => {
    let left: Schema<"SignedOut">;
    try {
      left = await got(api.DELETE("/api/v1/session"));
    } catch (error) {
      tellFailure(error);
      return;
    }
    hushNews();
    client.clear();
    if (left.end) return location.assign(left.end);
    history.replaceState(null, "", left.issuer ? "/#signed-out=here" : "/");
    location.reload();
  };
  return (
    <header className="flex h-11 shrink-0 items-center gap-1 border-b border-line bg-raised px-3 max-sm:h-12">
      <Link to="/" className="mr-3 flex items-center gap-2 font-semibold tracking-tight no-underline max-sm:mr-0">
        <img src="/icon.svg" alt="" width={20} height={20} />
        Pullwright
      </Link>
      <nav aria-label="Main" className="flex items-center gap-0.5 max-sm:hidden">
        {PLACES.map((place) => (
          <NavLink key={place.to} place={place} className="h-7 rounded px-2.5 text-sm" />
        ))}
      </nav>
      <div className="flex-1" />
      <Connection />
      <button
        type="button"
        onClick={onPalette}
        className="flex h-7 items-center gap-2 rounded border border-line-strong bg-ground px-2 text-xs text-text-2 hover:bg-hover max-md:hidden"
      >
        <Icon name="search" size={14} />
        <span className="pr-6">Search or do</span>
        <Keys keys="mod+k" />
      </button>
      <IconButton icon="search" label="Search or do" onClick={onPalette} className="md:hidden" />
      <Menu
        label="Account and appearance"
        className="inline-flex size-7 items-center justify-center rounded-full bg-pressed text-xs font-semibold text-text hover:bg-line-strong max-sm:size-9"
        items={[
          ...(["system", "light", "dark"] as Theme[]).map((one) => ({
            label: { system: "Theme of the system", light: "Light theme", dark: "Dark theme" }[one],
            checked: one === theme,
            act: () => setTheme(one),
          })),
          { label: "Keyboard shortcuts", icon: "key", keys: "?", act: onShortcuts },
          { label: "Sign out", hint: `Signed in as ${me.data?.name ?? ""}`, icon: "out", act: () => void signOut() },
        ]}
      >
        {(me.data?.name ?? "?").slice(0, 1).toUpperCase()}
      </Menu>
    </header>
  );
}

function NavLink({ place, className }: { place: (typeof PLACES)[number]; className: string }) {
  const path = useRouterState({ select: (state) => state.location.pathname });
  const here = place.to === "/" ? path === "/" || path.startsWith("/tasks") || path.startsWith("/compare") : path.startsWith(place.to);
  return (
    <Link
      to={place.to}
      aria-current={here ? "page" : undefined}
      className={cls("inline-flex items-center no-underline", here ? "bg-pressed font-medium text-text" : "text-text-2 hover:bg-hover hover:text-text", className)}
    >
      {place.label}
    </Link>
  );
}

/** On a phone the places are where the thumb is. */
function Bottom() {
  const path = useRouterState({ select: (state) => state.location.pathname });
  return (
    <nav aria-label="Main" className="grid shrink-0 grid-cols-4 border-t border-line bg-raised pb-[env(safe-area-inset-bottom)] sm:hidden">
      {PLACES.map((place) => {
        const here = place.to === "/" ? !PLACES.some((one) => one.to !== "/" && path.startsWith(one.to)) : path.startsWith(place.to);
        return (
          <Link
            key={place.to}
            to={place.to}
            aria-current={here ? "page" : undefined}
            className={cls("flex h-14 flex-col items-center justify-center gap-1 text-2xs no-underline", here ? "font-medium text-accent" : "text-text-2")}
          >
            <Icon name={place.icon} size={18} />
            {place.label}
          </Link>
        );
      })}
    </nav>
  );
}

function Connection() {
  const state = useNewsState();
  // Silence is the good state; a word is said where the page may be behind.
  return (
    <span role="status" className="mr-2 text-xs">
      {state === "broken" && (
        <span className="inline-flex items-center gap-1.5 text-warn">
          <span className="breathing size-2 rounded-full bg-current" />
          Reconnecting
        </span>
      )}
    </span>
  );
}
