"""The pytest fixtures, as another project's test suite uses them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

WORLD = '[[account]]\nusername = "ana"\nemail = "ana@example.test"\n'
# As strict as a suite can be, and without the plugins that this project's own tests use.
STRICT = (
    "[pytest]\naddopts = -p no:asyncio -p no:anyio -p no:hypothesispytest -p no:schemathesis --strict-markers\n"
    "filterwarnings = error\n"
)


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeini(STRICT)
    return pytester


def test_the_fixtures_work_as_the_page_says(suite: pytest.Pytester) -> None:
    """`plex` and `async_plex` are signed in as the first account, with warnings as errors and no asyncio plugin."""
    suite.makepyfile(
        """
        import asyncio

        def test_signed_in(plex):
            assert "mira_quill" == plex.authentication.get_token_details().username

        def test_signed_in_async(async_plex):
            details = asyncio.run(async_plex.authentication.get_token_details())
            assert "mira_quill" == details.username

        def test_addresses(local_plex):
            assert local_plex.url.startswith("http://127.0.0.1:")
            assert local_plex.url != local_plex.media_server("Attic").url
            assert local_plex.url == local_plex.env["TICKETSTUB_PLEX_TV"]
        """
    )
    suite.runpytest().assert_outcomes(passed=3)


def test_each_test_finds_it_as_at_the_start(suite: pytest.Pytester) -> None:
    """One test's changes are undone for the next one, which uses the same server."""
    suite.makepyfile(
        """
        import pytest

        seen = []

        @pytest.mark.parametrize("turn", range(3))
        def test_alone(local_plex, turn):
            seen.append(local_plex.url)
            assert 0 == len(local_plex.requests)
            with pytest.raises(LookupError):
                local_plex.code_for("nora")
            local_plex.account("nora", password="silver-thimble-3")
            local_plex.advance(days=8)
            local_plex.client(signed_in=False).pins.create()
            assert 1 == len(set(seen))
        """
    )
    suite.runpytest().assert_outcomes(passed=3)


def test_the_world_is_an_ini_option_a_fixture_or_a_marker(suite: pytest.Pytester) -> None:
    """`ticketstub_world` in the ini file, the suite's own fixture and a marker each select the world."""
    Path("people.toml").write_text(WORLD, "utf-8")
    suite.makeini(f"{STRICT}ticketstub_world = people.toml\n")
    suite.makepyfile(
        test_ini='def test_it(plex):\n    assert "ana" == plex.authentication.get_token_details().username\n',
        test_marker=f"""
        import pytest

        @pytest.mark.ticketstub_world({{"account": [{{"username": "bo", "email": "bo@example.test"}}]}})
        def test_mapping(local_plex):
            assert "bo" == local_plex.account().username

        @pytest.mark.ticketstub_world({WORLD.replace("ana", "eva")!r})
        def test_text(local_plex):
            assert "eva" == local_plex.account().username
        """,
        test_fixture="""
        import pytest

        @pytest.fixture
        def local_plex_world():
            return {"account": [{"username": "kim", "email": "kim@example.test"}]}

        def test_it(local_plex):
            assert "kim" == local_plex.account().username
        """,
    )
    suite.runpytest().assert_outcomes(passed=4)


def test_workers_have_their_own(suite: pytest.Pytester) -> None:
    """With xdist each worker has its own local Plex on its own ports, and no test sees another's requests."""
    suite.makepyfile(
        """
        import os, time, pathlib
        import pytest

        @pytest.mark.parametrize("turn", range(6))
        def test_alone(local_plex, plex, turn, tmp_path_factory):
            for _ in range(20):
                plex.authentication.get_token_details()
            assert 20 == len(local_plex.requests)
            folder = tmp_path_factory.getbasetemp().parent
            (folder / f"url-{os.environ['PYTEST_XDIST_WORKER']}").write_text(local_plex.url)
            time.sleep(0.02)

        """
    )
    result = suite.runpytest_subprocess("-n", "2", timeout=60)
    result.assert_outcomes(passed=6)
    urls = [path.read_text() for path in suite.path.parent.rglob("url-gw*")]
    assert urls
    assert len(set(urls)) == len(urls)


def test_it_needs_no_xdist(suite: pytest.Pytester) -> None:
    """Without xdist one local Plex serves all tests of the process."""
    suite.makepyfile(
        """
        import pytest

        seen = set()

        @pytest.mark.parametrize("turn", range(3))
        def test_alone(local_plex, plex, pytestconfig, turn):
            assert not pytestconfig.pluginmanager.hasplugin("xdist")
            plex.authentication.get_token_details()
            seen.add(local_plex.url)
            assert (1, 1) == (len(local_plex.requests), len(seen))
        """
    )
    suite.runpytest_subprocess("-p", "no:xdist", timeout=60).assert_outcomes(passed=3)


def test_a_failed_test_shows_what_came_in(suite: pytest.Pytester) -> None:
    """The report of a failure lists the requests with their statuses, without secrets."""
    suite.makepyfile(
        """
        def test_it(local_plex, plex):
            local_plex.refuse_next("GET /api/v2/user", status=401)
            assert plex.authentication.get_token_details()
        """
    )
    result = suite.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*requests to the local Plex*", "GET /api/v2/user: 401"])


@pytest.mark.parametrize(
    ("world", "said"),
    [
        (
            '{"account": [{"username": "ana"}]}',
            ["the world of the local Plex is invalid:", "account*0*email*missing*"],
        ),
        ('"nowhere.toml"', ["the world of the local Plex is invalid:", "nowhere.toml cannot be read*"]),
    ],
)
def test_a_faulty_world_is_said_in_a_sentence(suite: pytest.Pytester, world: str, said: list[str]) -> None:
    """A test with a faulty world fails with every error, and without a traceback."""
    suite.makepyfile(
        f"""
        import pytest

        @pytest.mark.ticketstub_world({world})
        def test_it(local_plex):
            pass
        """
    )
    result = suite.runpytest()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(said)
    assert "Traceback" not in result.stdout.str()


def test_a_missing_part_is_named(suite: pytest.Pytester) -> None:
    """Without the server's packages, a test fails with the command that installs them."""
    suite.makeconftest(
        """
        import sys

        class Missing:
            def find_spec(self, name, path=None, target=None):
                if name == "uvicorn":
                    raise ModuleNotFoundError("No module named 'uvicorn'", name="uvicorn")

        sys.meta_path.insert(0, Missing())
        sys.modules.pop("uvicorn", None)
        """
    )
    suite.makepyfile("def test_it(local_plex):\n    pass\n")
    result = suite.runpytest_subprocess(timeout=60)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(['*the local Plex needs uvicorn*pip install "ticketstub[[]server[]]"*'])


def test_it_costs_nothing_where_it_is_not_used() -> None:
    """Loading the plugin loads nothing of the local Plex, HTTP, TLS or the models."""
    program = (
        "import sys, pytest\n"
        "before = set(sys.modules)\n"
        "import ticketstub.testing.plugin\n"
        "print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "['ticketstub', 'ticketstub.testing', 'ticketstub.testing.plugin']" == done.stdout.strip()
