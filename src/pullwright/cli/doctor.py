"""`doctor`: what this machine offers."""

import asyncio


def doctor(*, json: bool = False) -> int:
    """Say what this machine offers: sandbox, limits, git, models; and the remedy for what is missing.

    Exit status 1 where something is missing.

    Args:
        json: Print the findings as a JSON array.
    """
    return asyncio.run(_doctor(json=json))


async def _doctor(*, json: bool) -> int:
    from pullwright.cli.house import opened_platform
    from pullwright.cli.screen import answer, answer_json
    from pullwright.cli.story import Line
    from pullwright.cli.words import shown
    from pullwright.flow import desk
    from pullwright.sandbox.base import Finding

    async with opened_platform() as platform:
        home = platform.settings.home
        record = "Postgres" if platform.settings.database_url else "SQLite"
        findings = [Finding("data", True, f"{home}, record in {record}"), *await desk.findings(platform)]
    if json:
        answer_json([{"subject": f.subject, "ok": f.ok, "text": f.text, "remedy": f.remedy} for f in findings])
    else:
        width = max(len(finding.subject) for finding in findings)
        for finding in findings:
            mark = "ok     " if finding.ok else "missing"
            text = f"{mark}  {finding.subject:<{width}}  {shown(finding.text)}"
            answer([Line(text, "plain" if finding.ok else "bad")])
            if finding.remedy and not finding.ok:
                answer([Line(f"{'':<{width + 11}}{shown(line)}", "warning") for line in finding.remedy.splitlines()])
    return 0 if all(finding.ok for finding in findings) else 1
