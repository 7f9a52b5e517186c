# ruff: noqa: E501  # each change is quoted as it is in the source
"""Mutants: the bridge with one defence taken out, each of which a named test must notice.

    .venv/bin/python tests/mutants.py [TEXT]    runs all, or those whose name contains the text

Rule: the source itself is never changed: each mutant is a copy. A mutant that no test notices, or whose place in the
source is gone, fails the run.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

BRIDGE = Path(__file__).parents[1]


class Mutant(NamedTuple):
    """A change to the source, and the tests that must notice it."""

    name: str
    file: str
    old: str
    new: str
    tests: str


MUTANTS = [
    Mutant("any role comes in", "people.py", "ANYONE in allow or not held.isdisjoint(allow)", "True", "without_the_server"),
    Mutant("the owner's id is not compared", "plex.py", "owner=server.owner_id", "owner=account.id or 0",
           "same_name_or_identifier"),
    Mutant("a bearer token is taken as a session", "requests.py", 'request.cookies.get(get_cookie_name(bridge, "session"), "")',
           'request.cookies.get(get_cookie_name(bridge, "session"), request.headers.get("authorization", "")[7:])',
           "access_token_is_no_session"),
    Mutant("a return is taken from any browser", "storage/sessions.py",
           "                    transactions.c.browser_digest == digest(browser),\n                    transactions.c.state == old,",
           "                    transactions.c.state == old,", "return_in_another_browser or belongs_to_its_browser"),
    Mutant("a foreign return does not end the sign-in", "storage/sessions.py", 'values(state="burned", pending=None)',
           'values(state="pending")', "return_in_another_browser or victim_who_approves"),
    Mutant("a return counts twice", "storage/sessions.py", ".values(state=new)", ".values(state=old)", "second_return"),
    Mutant("a transaction never expires", "config.py", "transaction: int = 300", "transaction: int = 3000", "second_return"),
    Mutant("a code is redeemed twice", "storage/grants.py", "codes.c.redeemed_at.is_(None))", "codes.c.digest != '')",
           "redemptions_of_a_code or second_redemption"),
    Mutant("a second redemption revokes nothing", "storage/grants.py",
           "        if row.redeemed_at is not None:\n            self.end(row.grant_id)\n", "        if row.redeemed_at is not None:\n",
           "its_tokens_end"),
    Mutant("refresh reuse revokes nothing", "storage/grants.py",
           "        if row.used_at is not None:\n            self.end(row.grant_id)\n", "        if row.used_at is not None:\n",
           "refresh_reuse"),
    Mutant("a refresh token is used twice", "storage/grants.py", "refresh_tokens.c.used_at.is_(None))\n        statement",
           "refresh_tokens.c.digest != '')\n        statement", "many_refreshes"),
    Mutant("a code belongs to nobody", "storage/grants.py",
           ".where(table.c.digest == digest(secret), grants.c.client_id == client_id)", ".where(table.c.digest == digest(secret))",
           "belongs_to_its_application"),
    Mutant("a code never expires", "storage/grants.py", "good = and_(self._is_current(table, now), self._is_good(now))",
           "good = self._is_good(now)", "code_expires or application_and_expires"),
    Mutant("plain is taken", "provider.py", 'if data.get("code_challenge") and data.get("code_challenge_method") != "S256":',
           "if False:", "faulty_request"),
    Mutant("a public application needs no challenge", "provider.py",
           'if not data.get("code_challenge") and grant.request.client.is_public:', "if False:", "faulty_request"),
    Mutant("the challenge is not stored", "provider.py", 'code_challenge=data.get("code_challenge"),', "code_challenge=None,",
           "injected_code"),
    Mutant("a redirect address may begin alike", "authorization.py",
           'if values.get("redirect_uri") not in client.redirect_uris:',
           'if not any(values.get("redirect_uri", "").startswith(uri) for uri in client.redirect_uris):', "exact_address"),
    Mutant("repeated parameters are taken", "authorization.py", "    if parameters.repeated:\n", "    if False:\n", "repeated_parameters"),
    Mutant("a repeated client is taken", "authorization.py", 'if parameters.repeated & {"client_id", "redirect_uri"}:',
           "if False:", "unknown_application"),
    Mutant("anybody is answered about for a hint", "authorization.py", "self.expected_sub in {None, session.person.sub}", "True",
           "hinted_person or hint_of_somebody"),
    Mutant("any token is a hint", "keys.py", ' and header.get("typ") == "JWT"', "", "hint_is_an_id_token"),
    Mutant("a public application replaces a wrong secret", "provider.py", '["client_secret_basic"] if is_basic else methods', "methods",
           "errs_exactly"),
    Mutant("the issuer is left out", "authorization.py", '"iss": self.issuer', '"iss": None', "redeemed or state_and_nonce"),
    Mutant("the issuer comes from Host", "endpoints.py", "make_metadata(get_bridge(request))",
           'make_metadata(get_bridge(request)) | {"issuer": f"https://{request.headers[\'host\']}"}', "never_taken_from_a_request"),
    Mutant("forms need no token", "requests.py",
           'and bridge.sealer.is_form_token(form.get("form_token", ""), browser, purpose)', "", "another_site or another_browser_does"),
    Mutant("forms come from anywhere", "requests.py", "(origin is None or origin == bridge.config.url)", "True", "another_site"),
    Mutant("pages can be framed", "pages/__init__.py", "frame-ancestors 'none'", "frame-ancestors *", "framed"),
    Mutant("any address after logout", "logout.py", "url not in client.post_logout_redirect_uris", "False",
           "open_redirects"),
    Mutant("any application signs out unasked", "logout.py", 'claims.get("sid") == session.sid', "True", "without_proof"),
    Mutant("a session outlives its membership", "storage/people.py", "people.c.lost_at.is_(None), people.c.checked_at > now - good_for",
           "people.c.sub != ''", "membership_counts or lost_membership"),
    Mutant("no check at a refresh", "endpoints.py", 'await check_before_refresh(bridge, parameters.get("refresh_token", ""), client_id)',
           "pass", "noticed_at_the_next_refresh"),
    Mutant("an outage ends the membership", "plex.py", 'return "unknown"', 'return "over"', "outage_is_survived"),
    Mutant("secrets are stored as they are", "sealing.py", "return hashlib.sha256(secret.encode()).hexdigest()", "return secret",
           "digests_are_all"),
    Mutant("the log shows the query", "app.py", "                    route=route,\n", '                    route=str(scope["query_string"]),\n',
           "stay_out_of_logs"),
    Mutant("cookies for scripts", "requests.py", "httponly=True", "httponly=False", "bound_to_this_host"),
    Mutant("the old cookie stays good", "storage/sessions.py", ".values(digest=digest(secret), auth_time=now", ".values(auth_time=now",
           "renewed_session"),
    Mutant("metrics are public", "app.py", "if not _FORWARDED.isdisjoint(request.headers.keys()):", "if False:", "metrics_are_not"),
    Mutant("an application needs no secret", "clients.py", "return known is not None and hmac.compare_digest(known, digest(client_secret))",
           "return True", "application_authenticates"),
    Mutant("another key is taken", "storage/database.py", "if known != fingerprint:", "if False:", "another_key or changed_key"),
    Mutant("an answer outlives a write", "answers.py", " or answer.writes != self._database.writes", "", "no_answer_outlives"),
    Mutant("an answer outlives its token", "answers.py", "began + min(MAX_AGE, token.expires_at - now)", "began + MAX_AGE", "no_answer_outlives"),
    Mutant("an address that is not confirmed is passed on", "people.py", "and person.email and person.email_verified:",
           "and person.email:", "has_not_confirmed"),
    Mutant("Plex is asked for anybody", "endpoints.py",
           "client_id = await bridge.run(bridge.provider.identify_client, provider_request)", 'client_id = "films"',
           "does_not_authenticate"),
    Mutant("another program gets a code unasked", "interaction.py", " or not authorization.is_proven", "", "unasked"),
    Mutant("what had ended counts again", "storage/database.py", "return and_(until > now, until <= now + (seconds + MAX_ERROR))",
           "return until > now", "set_back_makes_nothing or set_right"),
    Mutant("idle time is prolonged", "storage/sessions.py", "abs(row.now - row.seen_at)", "row.now - row.seen_at", "idle_time"),
    Mutant("an approval of the future is young", "storage/sessions.py", "age if age > -MAX_ERROR else inf", "max(0.0, age)", "idle_time"),
    Mutant("a check waits for the clock", "storage/people.py", ", people.c.checked_at > now + MAX_ERROR),", "),", "asked_again"),
    Mutant("a membership of the future counts", "storage/people.py",
           "or_(people.c.plex_token.is_not(None), people.c.checked_at <= now + MAX_ERROR)", "people.c.sub.is_not(None)",
           "nothing_is_asked"),
    Mutant("a message waits for the clock", "storage/endings.py", ", logouts.c.next_at > now + LONGEST_WAIT + MAX_ERROR)", ")",
           "wait_an_hour"),
    Mutant("an answer ages by the clock", "storage/database.py", "return time.monotonic() + self.offset", "return self()",
           "ages_while"),
    Mutant("applications wait for each other", "logout.py", "group.create_task(deliver_logouts(bridge))",
           "await asyncio.wait_for(deliver_logouts(bridge), 2)", "slow_application"),
    Mutant("an application may take for ever", "logout.py", "asyncio.timeout(_SECONDS)", "asyncio.timeout(None)", "never_answers"),
    Mutant("the database is for everybody", "storage/database.py", "0o600", "0o644", "only_its_owner"),
    Mutant("the socket is for everybody", "control.py", "os.umask(0o177)", "os.umask(0)", "for_its_owner"),
    Mutant("any certificate will do", "checking.py", "ssl.create_default_context()", "ssl._create_unverified_context()",
           "bad_certificate"),
    Mutant("an outage lets in", "plex.py",
           "            role = await account.membership(server.machine_identifier, owner=server.owner_id)\n",
           "            try:\n"
           "                role = await account.membership(server.machine_identifier, owner=server.owner_id)\n"
           "            except PlexError:\n"
           '                role = "friend"\n',
           "resources_down"),
    Mutant("the nonce is lost", "provider.py", 'nonce=data.get("nonce"),', "nonce=None,", "friend_signs_in or exact_members"),
    Mutant("a state is made up", "authorization.py", '"state": self.parameters.get("state")', '"state": self.parameters.get("state", "s")',
           "come_back_unchanged"),
    Mutant("referrers leave this site", "pages/__init__.py", '"Referrer-Policy": "same-origin"', '"Referrer-Policy": "unsafe-url"',
           "framed"),
    Mutant("cookies of any host", "requests.py", "'__Host-' if bridge.config.is_https else ''", "''", "bound_to_this_host"),
    Mutant("cookies over http", "requests.py", "secure=bridge.config.is_https,\n        httponly", "secure=False,\n        httponly",
           "bound_to_this_host"),
    Mutant("an answer outlives its second", "answers.py", "answer if self._database.clock.steady() < answer.until else None", "answer",
           "of_a_moment_ago"),
]  # fmt: skip


def find_files(tests: str) -> list[str]:
    """Return the files of these tests, so that no others are collected."""
    words = re.compile(rf"^(?:async )?def test_\w*(?:{'|'.join(tests.split(' or '))})", re.MULTILINE)
    files = {path: path.read_text("utf-8") for path in sorted(Path(__file__).parent.glob("test_*.py"))}
    imported = re.search(words, (Path(__file__).parent / "bridge_tests" / "store_suite.py").read_text("utf-8"))
    return [
        str(path)
        for path, text in files.items()
        if words.search(text) or (imported and path.stem == "test_store_sqlite")
    ]


def run_mutant(mutant: Mutant) -> str:
    """Return `caught`, or what is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "src"
        shutil.copytree(BRIDGE / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
        path = source / "ticketstub_bridge" / mutant.file
        text = path.read_text("utf-8")
        if mutant.old not in text:
            return "GONE: the source has changed"
        path.write_text(text.replace(mutant.old, mutant.new), "utf-8")
        options = ["-q", "-x", "--short", "-p", "no:cacheprovider", "-o", f"pythonpath={source} tests ../src"]
        command = [sys.executable, "-m", "pytest", *options, "-k", mutant.tests, *find_files(mutant.tests)]
        env = {"PYTHONPATH": str(source), "PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
        code = subprocess.run(command, cwd=BRIDGE, env=env, capture_output=True, check=False).returncode
        return {0: "SURVIVED", 1: "caught", 5: "NO TEST"}.get(code, f"FAILED: pytest ended with {code}")


def main(text: str = "") -> int:
    """Run the mutants; returns 0 if all are caught."""
    results = {each.name: "" for each in MUTANTS if text in each.name}
    for mutant in MUTANTS:
        if mutant.name in results:
            results[mutant.name] = run_mutant(mutant)
            print(f"{results[mutant.name]:<10} {mutant.name}", flush=True)
    return int(any(result != "caught" for result in results.values()))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
