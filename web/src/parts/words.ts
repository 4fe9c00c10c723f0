const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "narrow" });
const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** "3 min. ago", "yesterday". */
export function ago(moment: string | number, now = Date.now()): string {
  const seconds = (new Date(moment).getTime() - now) / 1000;
  for (const [unit, size] of STEPS) if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit);
  return "just now";
}

/** "now", "4m", "3h", "2d": as short as a column wants it. */
export function age(moment: string | number, now = Date.now()): string {
  const seconds = Math.max(0, (now - new Date(moment).getTime()) / 1000);
  if (seconds < 60) return "now";
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

/** "0.4 s", "12 s", "3 m 20 s", "2 h 5 m". */
export function duration(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const parts = whole < 3_600 ? [Math.floor(whole / 60), "m", whole % 60, "s"] : [Math.floor(whole / 3_600), "h", Math.floor((whole % 3_600) / 60), "m"];
  return parts[2] === 0 ? `${parts[0]} ${parts[1]}` : parts.join(" ");
}

/** "$0.0042", "$1.27"; an unknown price is a dash. */
export function money(dollars: number | null | undefined): string {
  if (dollars === null || dollars === undefined) return "–";
  if (dollars === 0) return "$0";
  return `$${dollars.toFixed(dollars < 0.01 ? 4 : 2)}`;
}

/** "950", "12.4k", "3.1M". */
export function count(amount: number): string {
  if (amount < 1_000) return String(Math.round(amount));
  if (amount < 999_500) return `${(amount / 1_000).toFixed(amount < 99_500 ? 1 : 0)}k`;
  return `${(amount / 1_000_000).toFixed(1)}M`;
}

/** "312 B", "4.2 kB", "1.3 GB". */
export function bytes(amount: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let left = amount;
  let unit = 0;
  while (left >= 999.5 && unit < units.length - 1) {
    left /= 1_000;
    unit += 1;
  }
  return `${unit === 0 || left >= 99.5 ? Math.round(left) : left.toFixed(1)} ${units[unit]}`;
}

/** "1 file", "3 files". */
export function plural(amount: number, one: string, many = `${one}s`): string {
  return `${amount.toLocaleString()} ${amount === 1 ? one : many}`;
}

/** The first line that says something, without the marks of Markdown. */
export function headline(prompt: string): string {
  const line = prompt.split("\n").find((one) => one.trim() !== "") ?? prompt;
  return line.replace(/^#+\s*|[*`]/g, "").trim();
}

/** The last two parts of a path or an address: what a person calls it. */
export function repositoryName(location: string): string {
  const clean = location.replace(/\/+$/, "").replace(/\.git$/, "");
  if (!clean.includes("://") && clean.startsWith("/")) return clean.split("/").at(-1) ?? clean;
  return clean.split(/[/:]/).slice(-2).join("/");
}
