"""The gate's verdicts, on figures made up with known noise and known changes; what it installs and believes."""

import ast
import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from gating import accepted, decide, injections, replay, report, sides, worker
from gating.plan import CALLS, COLD, CONTROLS, FIRST, ONCE, Benchmark, everything
from gating.turns import Run

ROOT = Path(__file__).parents[1]
FUSED, COLD_CALL, SCRATCH = (
    Benchmark("fused", CALLS),
    Benchmark("cold", COLD, 0.08, 0.2),
    Benchmark("scratch", ONCE, 0.25),
)
OTHERS = [Benchmark(f"other {i}", CALLS) for i in range(30)]
ALL = [FUSED, COLD_CALL, SCRATCH, *OTHERS]


def runs(slower=None, noise=0.01, seed=0, pairs=(8, 12), stages=("screen", "confirm"), benchmarks=ALL, drift=0.0):
    """Figures of both sides: 1 ms with noise, and a slow drift that pairs have in common; `slower` by benchmark."""
    random, found = np.random.default_rng(seed), []
    for stage, n_pairs in zip(("screen", "confirm"), pairs, strict=True):
        for pair in range(n_pairs if stage in stages else 0):
            for side in ("before", "after"):
                factors = {name: factor for name, factor in (slower or {}).items() if side == "after"}
                figures = {
                    b.name: 1e-3
                    * factors.get(b.name, 1)
                    * (1 + drift * pair)
                    * np.exp(noise * random.standard_normal())
                    for b in (*benchmarks, *CONTROLS)
                    if b.kind != ONCE and (b.kind != COLD or pair < 4 or stage == "confirm")
                }
                found.append(Run(stage, pair, side, 0.0, figures))
    return found


def words(found, benchmarks=ALL, accepted=None):
    return {v.name: v.word for v in decide.verdicts(found, benchmarks, accepted)}


@pytest.mark.parametrize("seed", range(5))
def test_the_same_code_is_the_same(seed):
    """1 % noise in 32 benchmarks, on a machine that slows down by half: nothing is found, nothing called noisy."""
    found = runs(seed=seed, stages=("screen",), drift=0.07)
    assert decide.flagged(found, ALL) == []
    assert decide.exit_status(decide.verdicts(found, ALL[:2] + OTHERS), decide.too_noisy(found)) == 0


@pytest.mark.parametrize("seed", range(5))
def test_a_tenth_slower_is_found_and_nothing_else(seed):
    found = runs({"fused": 1.1}, seed=seed)
    assert [b.name for b in decide.flagged(found, ALL)] == ["fused"]
    (verdict,) = decide.verdicts(found, [FUSED])
    assert verdict.word == decide.WORSE
    assert verdict.low <= verdict.ratio <= verdict.high
    assert verdict.ratio == pytest.approx(1.1, rel=0.03)
    assert decide.exit_status([verdict], "") == 1


def test_the_correction_counts_what_was_flagged():
    """One of 32 that is slower has 32 times the chance of being so by accident that it has alone."""
    among = runs({"fused": 1.1})  # figures of all 32 that are timed stand in the second stage
    alone = [Run(r.stage, r.pair, r.side, 0.0, {"fused": r.figures["fused"]}) for r in among]
    assert decide.verdicts(among, ALL)[0].p == pytest.approx(32 * decide.verdicts(alone, ALL)[0].p)


def test_one_more_compiled_function_is_enough():
    """A count does not vary: it needs no test."""
    count, found = Benchmark("count", COLD, 0.0, 0.5), []
    for stage, n_pairs in (("screen", 3), ("confirm", 8)):
        found += [
            Run(stage, i, side, 0.0, {"count": n})
            for i in range(n_pairs)
            for side, n in (("before", 6.0), ("after", 7.0))
        ]
    assert decide.flagged(found, [count]) == [count]
    assert words(found, [count]) == {"count": decide.WORSE}


def test_bursts_of_noise_do_not_hide_a_slowdown_nor_look_like_one():
    """A quarter of the processes, on either side, take up to twice as long."""
    for factor, word in ((1.0, decide.NOT_CONFIRMED), (1.1, decide.WORSE)):
        for seed in range(5):
            found, random = (
                runs({"fused": factor}, 0.01, seed, pairs=(8, 16), benchmarks=[FUSED]),
                np.random.default_rng(seed),
            )
            for run in found:
                run.figures["fused"] *= 1 + (random.random() < 0.25) * random.random()
            assert words(found, [FUSED]) == {"fused": word}


def test_a_faster_kernel_never_alarms():
    found = runs({"fused": 0.8}, stages=("screen",))
    assert decide.flagged(found, ALL) == []
    assert words(found, [FUSED]) == {"fused": decide.FASTER}
    assert decide.exit_status(decide.verdicts(found, [FUSED]), "") == 0


def test_what_does_not_replicate_is_no_regression():
    """Slow in the first look, as before in the second."""
    once = [r for r in runs({"fused": 1.2}) if r.stage == "screen"] + [r for r in runs() if r.stage == "confirm"]
    assert words(once, [FUSED]) == {"fused": decide.NOT_CONFIRMED}


def test_less_than_the_floor_is_no_regression_however_certain():
    found = runs({"fused": 1.045}, noise=0.001)
    assert words(found, [FUSED]) == {"fused": decide.NOT_CONFIRMED}
    assert words(found, [Benchmark("fused", CALLS, floor=0.03)]) == {"fused": decide.WORSE}


def test_less_than_the_least_amount_is_no_regression():
    """Twice as long, but 1 ms: nobody waits for that."""
    found = runs({"import": 2.0}, benchmarks=[Benchmark("import", FIRST)])
    assert words(found, [Benchmark("import", FIRST, floor=0.25, least=2e-3)])["import"] != decide.WORSE
    assert words(found, [Benchmark("import", FIRST, floor=0.25, least=5e-4)])["import"] == decide.WORSE


def test_four_pairs_of_compiling_can_flag():
    assert COLD_CALL in decide.flagged(runs({"cold": 1.3e3, "other 1": 1.0}, stages=("screen",)), ALL)


def test_controls_that_differ_make_it_too_noisy():
    """The same code on both sides: if that seems slower, so may anything."""
    found = runs({CONTROLS[0].name: 1.15}, stages=("screen",))
    assert "differs" in decide.too_noisy(found)
    assert decide.exit_status(decide.verdicts(found, [FUSED]), decide.too_noisy(found)) == 3


def test_controls_that_scatter_make_it_too_noisy():
    assert decide.too_noisy(runs(noise=0.3, stages=("screen",)))


def test_too_few_pairs_say_nothing():
    assert "pairs" in decide.too_noisy(runs(pairs=(3, 0)))


def test_flagged_without_time_to_measure_again_is_unclear():
    found = runs({"fused": 1.2}, stages=("screen",))
    assert words(found, [FUSED]) == {"fused": decide.UNCLEAR}
    assert decide.exit_status(decide.verdicts(found, [FUSED]), "") == 3


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [(100.0, 120.0, decide.SAME), (100.0, 130.0, decide.WORSE), (100.0, 50.0, decide.FASTER), (0.0, 0.0, decide.SAME)],
)
def test_figures_that_do_not_vary_are_compared_as_they_are(before, after, word):
    found = [Run("once", 0, "before", 0.0, {"scratch": before}), Run("once", 0, "after", 0.0, {"scratch": after})]
    assert words(found, [SCRATCH]) == {"scratch": word}


@pytest.mark.parametrize(("side", "word", "status"), [("before", decide.GONE, 2), ("after", decide.NEW, 0)])
def test_a_benchmark_on_one_side_alone(side, word, status):
    """Lost: broken. New: welcome."""
    found = [Run(r.stage, r.pair, r.side, 0.0, {"fused": 1.0} if r.side == side else {}) for r in runs()]
    verdicts = decide.verdicts(found, [FUSED])
    assert verdicts[0].word == word
    assert decide.exit_status(verdicts, "") == status


def test_an_accepted_slowdown_is_named_and_a_larger_one_is_not():
    meant = {"fused": (0.2, "abc: more accurate")}
    assert words(runs({"fused": 1.1}), [FUSED], meant) == {"fused": decide.ACCEPTED}
    assert words(runs({"fused": 1.3}), [FUSED], meant) == {"fused": decide.WORSE}


def test_replayed_rates():
    """From A/A runs with 1 % noise: no alarm where nothing changed, an alarm where a tenth was added."""
    records = [runs(seed=seed, stages=("screen",)) for seed in range(4)]
    nothing = replay.rate(records, ALL, "fused", 0.0, (8, 12, 4), 20)
    tenth = replay.rate(records, ALL, "fused", 0.1, (8, 12, 4), 20)
    assert (nothing.hits, tenth.hits) == (0, 20)
    assert str(tenth).startswith("20 of 20 (100.0%; 83.2% – 100.0%)")  # 0.025 ** (1 / 20) = 0.8316


def repository(folder):
    """A repository with two commits."""

    def git(*arguments):
        named = ("-c", "user.name=x", "-c", "user.email=x@example.com")
        subprocess.run(["git", "-C", str(folder), *named, *arguments], check=True, capture_output=True)

    git("init", "-q")
    for number in (1, 2):
        for package, place in sides.PACKAGES.items():
            (folder / place).mkdir(parents=True, exist_ok=True)
            (folder / place / "__init__.py").write_text(f"name, number = {package!r}, {number}\n")
        git("add", "-A")
        git("commit", "-q", "-m", str(number))
    return [sides.git(folder, "rev-parse", name).strip() for name in ("HEAD~1", "HEAD")]


def test_a_stale_installation_is_refused(tmp_path):
    """Files of the other commit, files from elsewhere, nothing at all: none is the commit that is judged."""
    first, second = repository(tmp_path)
    site = tmp_path / "site"
    (site / "jitloss").mkdir(parents=True)
    file = site / "jitloss" / "__init__.py"
    file.write_bytes((tmp_path / "python/jitloss/__init__.py").read_bytes())
    seen = {str(file): worker.git_hash(file)}
    of = {
        commit: sides.Side("after", commit, site, tmp_path, sides._tree(tmp_path, commit)) for commit in (first, second)
    }
    of[second].verify(seen)
    with pytest.raises(sides.BrokenError, match="is not the file of commit"):
        of[first].verify(seen)
    elsewhere = tmp_path / "python/jitloss/__init__.py"
    with pytest.raises(sides.BrokenError, match="not what was installed"):
        of[second].verify({str(elsewhere): worker.git_hash(elsewhere)})
    with pytest.raises(sides.BrokenError, match="not imported"):
        of[second].verify({})


ENTRY = '[[accepted]]\nbenchmark = "fused"\ncommit = "{}"\nreason = "more accurate"\nfloor = 0.2\n'


def test_an_accepted_slowdown_counts_between_its_commits_alone(tmp_path):
    first, second = repository(tmp_path)
    file = tmp_path / "accepted.toml"
    file.write_text(ENTRY.format(second))
    entries = accepted.read(file)
    assert accepted.floors(entries, ALL, tmp_path, first, second)["fused"] == (0.2, f"{second[:10]}: more accurate")
    assert accepted.floors(entries, ALL, tmp_path, second, second) == {}
    assert accepted.floors(entries, ALL, tmp_path, first, first) == {}
    assert accepted.read(tmp_path / "none.toml") == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('reason = "more accurate"\n', "", "reason is missing"),
        ("0.2", '"much"', "floor is missing or of the wrong type"),
        ("0.2", "0.0", "a floor above 0"),
        ("floor", "flor", "floor is missing"),
        ("[[accepted]]", "[accepted]", r"entries begin with \[\[accepted\]\]"),
        ("[[accepted]]", "[[", "accepted.toml"),
    ],
)
def test_malformed_entries_are_named(tmp_path, old, new, message):
    file = tmp_path / "accepted.toml"
    file.write_text(ENTRY.format("HEAD").replace(old, new))
    with pytest.raises(sides.BrokenError, match=message):
        accepted.read(file)


def test_the_accepted_file_of_this_repository_can_be_read():
    accepted.read(ROOT / "asv_benchmarks" / "accepted.toml")


def test_a_report_comes_back_from_json_and_reads_as_markdown(tmp_path):
    found = runs({"fused": 1.2}, benchmarks=[FUSED])
    for run in found:
        run.figures |= {OTHERS[0].name: 1e-3} if run.stage == "screen" else {}
    verdicts = decide.verdicts(found, [FUSED, OTHERS[0]])
    made = report.Report("a" * 40, "b" * 40, "a machine", 12.0, verdicts, found, "", 1)
    report.write_json(made, tmp_path / "report.json")
    json.loads((tmp_path / "report.json").read_text(), parse_constant=pytest.fail)
    again = report.load(tmp_path / "report.json")
    assert decide.verdicts(again.runs, [FUSED])[0].ratio == pytest.approx(verdicts[0].ratio, rel=1e-4)
    text = report.markdown(made)
    assert "aaaaaaaaaa → bbbbbbbbbb: a regression, measured twice (exit 1)" in text
    assert re.search(r"\| fused \| [\d.]+ (ms|µs) \| 1\.[12]\d? ms \| 1\.[12]\d* \| .* \| WORSE \|", text)
    assert "<details><summary>1 unchanged</summary>" in text


@pytest.mark.parametrize("injection", injections.INJECTIONS, ids=lambda i: i.name)
def test_every_injection_fits_the_source_as_it_is_now(injection):
    if injection.file:
        text = (ROOT / injection.file).read_text()
        assert text.count(injection.old) == 1
        ast.parse(text.replace(injection.old, injection.new))
    if injection.expect:
        assert everything(injection.expect)


def test_benchmarks_have_names_of_their_own():
    names = [b.name for b in everything()]
    assert len(names) == len(set(names))
    assert not {c.name for c in CONTROLS} & set(names)
