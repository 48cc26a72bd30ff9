"""The real experiments with their published numbers; each test names the trap of its set."""

import csv
import gzip
from collections import defaultdict
from math import log

import pytest

from upshot.analysis.counts import evidence_from_counts
from upshot.stats.effect import effect_of
from upshot.stats.fixed import p_value
from upshot.stats.moments import Moments


def comparison(found, metric, variant):
    result = next(one for one in found["metrics"] if one["name"] == metric)
    return next(one for one in result["comparisons"] if one["variant"] == variant)


def variants(found, metric):
    return next(one for one in found["metrics"] if one["name"] == metric)["variants"]


def check(found, name):
    return next(one for one in found["checks"] if one["name"] == name)


def rows(path, delimiter=","):
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def test_landing_page_trap_users_in_both_groups(analyze, shared):
    """1,895 users are in both groups: they are counted, named and left out."""
    found = analyze(shared / "ecommerce_landing_page/ab_data.csv.gz", "--unit", "user_id", "--variant", "group",
                    "--metric", "converted")  # fmt: skip
    conflicts = check(found, "exposure_conflicts")
    assert conflicts["status"] == "warn"
    assert conflicts["numbers"]["units"] == 1895


def test_landing_page_with_the_published_cleaning(analyze, shared):
    found = analyze(shared / "ecommerce_landing_page/ab_data.csv.gz", "--unit", "user_id", "--variant", "group",
                    "--metric", "converted", "--where",
                    "(\"group\" = 'control') = (landing_page = 'old_page')")  # fmt: skip
    seen = variants(found, "converted")
    assert (seen["control"]["n"], seen["treatment"]["n"]) == (145_274, 145_310)
    assert seen["control"]["mean"] == pytest.approx(0.1203863045004612, abs=1e-12)
    assert seen["treatment"]["mean"] == pytest.approx(0.11880806551510564, abs=1e-12)
    assert comparison(found, "converted", "treatment")["p_value"] == pytest.approx(
        0.18988337448195103, abs=1e-10
    )
    assert found["verdict"]["verdict"] == "KILL"


def test_hillstrom_trap_equal_rows_are_different_customers(analyze, shared):
    """6,562 rows repeat others, but there is no id: nothing may be dropped. CUPED gains stay under 1%."""
    found = analyze(shared / "hillstrom_email/hillstrom.csv.gz", "--variant", "segment", "--control", "No E-Mail",
                    "--metric", "visit", "--metric", "conversion",
                    "--metric", "spend,covariate=history", "--metric", "spend,name=plain")  # fmt: skip
    assert check(found, "duplicate_rows")["status"] == "skipped"
    sizes = {name: one["n"] for name, one in variants(found, "visit").items()}
    assert sizes == {"No E-Mail": 21_306, "Mens E-Mail": 21_307, "Womens E-Mail": 21_387}
    assert comparison(found, "visit", "Mens E-Mail")["effect"] == pytest.approx(0.0765895672, abs=5e-9)
    assert comparison(found, "conversion", "Mens E-Mail")["effect"] == pytest.approx(0.0068050065, abs=1e-9)
    plain = comparison(found, "plain", "Mens E-Mail")
    assert plain["effect"] == pytest.approx(0.7698271559, abs=1e-9)
    assert plain["p_value"] == pytest.approx(1.16e-07, rel=5e-3)
    assert plain["tests"] == 8
    assert plain["p_value_adjusted"] > plain["p_value"]
    assert 0 < comparison(found, "spend", "Mens E-Mail")["variance_reduction"] < 0.01


def test_audacity_homepage_trap_sample_ratio(analyze, shared):
    found = analyze(shared / "audacity_events/homepage_actions.csv.gz", "--unit", "id", "--variant", "group",
                    "--metric", "action,value=click")  # fmt: skip
    ratio = check(found, "sample_ratio")
    assert ratio["status"] == "fail"
    assert ratio["p_value"] == pytest.approx(2.4e-05, rel=0.02)
    one = found["metrics"][0]
    assert one["variants"]["control"]["mean"] == pytest.approx(932 / 3332)
    assert one["comparisons"][0]["effect"] == pytest.approx(0.0300344437, abs=1e-9)
    assert found["verdict"]["verdict"] == "INVESTIGATE"


def test_audacity_classroom_trap_sample_ratio(analyze, shared):
    found = analyze(shared / "audacity_events/classroom_actions.csv.gz", "--unit", "id", "--variant", "group",
                    "--metric", "total_days", "--metric", "completed")  # fmt: skip
    assert check(found, "sample_ratio")["p_value"] == pytest.approx(6e-16, rel=0.1)
    assert variants(found, "total_days")["control"]["mean"] == pytest.approx(73.37, abs=0.005)
    assert variants(found, "total_days")["experiment"]["mean"] == pytest.approx(74.67, abs=0.005)
    assert variants(found, "completed")["control"]["mean"] == pytest.approx(0.3720, abs=5e-5)
    assert found["verdict"]["verdict"] == "INVESTIGATE"


def test_audacity_course_page_trap_the_log_is_no_funnel_by_user(analyze, shared):
    """Only 17 of the 814 ids that enroll also have a view: the published rate divides distinct ids by distinct ids."""
    ids = defaultdict(set)
    for row in rows(shared / "audacity_events/course_page_actions.csv.gz"):
        ids[row["group"], row["action"]].add(row["id"])
    enrolled = ids["control", "enroll"] | ids["experiment", "enroll"]
    viewed = ids["control", "view"] | ids["experiment", "view"]
    assert (len(enrolled), len(enrolled & viewed)) == (814, 17)
    counts = {
        name: f"{len(ids[name, 'enroll'])}/{len(ids[name, 'view'])}" for name in ("control", "experiment")
    }
    assert counts == {"control": "375/1586", "experiment": "439/1645"}
    found = analyze("--counts", *(f"{name}={pair}" for name, pair in counts.items()))
    assert found["metrics"][0]["variants"]["control"]["mean"] == pytest.approx(0.2364, abs=5e-5)
    assert found["metrics"][0]["variants"]["experiment"]["mean"] == pytest.approx(0.2669, abs=5e-5)


def test_fast_food_trap_rows_are_not_what_was_randomised(analyze, shared):
    """548 rows of 137 restaurants: the published row-level p of 4e-10 becomes one of 137 clusters."""
    path = shared / "fast_food_promotion/WA_Marketing-Campaign.csv.gz"
    common = ("--variant", "Promotion", "--control", "1", "--metric", "SalesInThousands")
    rowwise = analyze(path, *common)
    assert comparison(rowwise, "SalesInThousands", "2")["p_value"] == pytest.approx(4.29e-10, rel=5e-3)
    assert comparison(rowwise, "SalesInThousands", "3")["p_value"] == pytest.approx(0.1206, abs=5e-5)
    found = analyze(path, *common, "--cluster", "LocationID")
    seen = variants(found, "SalesInThousands")
    assert sum(one["n"] for one in seen.values()) == 137
    assert [round(seen[name]["mean"], 3) for name in ("1", "2", "3")] == [58.099, 47.329, 55.364]
    assert 1e-4 < comparison(found, "SalesInThousands", "2")["p_value"] < 1e-2


def test_udacity_screener_trap_last_two_weeks_lack_the_outcome(analyze, shared):
    """Days without enrolments must leave the denominator too, and days are no units: counts are."""
    folder = shared / "udacity_free_trial"
    found = analyze(f"control={folder / 'control.csv.gz'}", f"experiment={folder / 'experiment.csv.gz'}",
                    "--count", "Pageviews", "--metric", "Enrollments,per=Clicks,name=gross",
                    "--metric", "Payments,per=Clicks,name=net")  # fmt: skip
    assert found["look"]["units"] == {"control": 345_543, "experiment": 344_660}
    assert check(found, "sample_ratio")["status"] == "pass"
    gross, net = comparison(found, "gross", "experiment"), comparison(found, "net", "experiment")
    assert gross["effect"] == pytest.approx(-0.02055, abs=5e-6)
    assert gross["interval_unadjusted"] == pytest.approx([-0.0291, -0.0120], abs=6e-5)
    assert net["effect"] == pytest.approx(-0.00487, abs=5e-6)
    assert net["interval_unadjusted"] == pytest.approx([-0.0116, 0.0019], abs=6e-5)


def test_adsmart_trap_most_rows_answered_nothing(analyze, shared):
    path = shared / "adsmart_brand_survey/AdSmartABdata.csv.gz"
    common = ("--variant", "experiment", "--metric", "yes")
    found = analyze(path, *common, "--where", "yes + no > 0")
    assert [one["n"] for one in variants(found, "yes").values()] == [586, 657]
    assert comparison(found, "yes", "exposed")["p_value"] == pytest.approx(0.518, abs=5e-4)
    whole = analyze(path, *common, "--time", "date")
    assert "2020-07-03" in check(whole, "sample_ratio")["detail"]


def test_dating_app_trap_empty_is_not_missing(analyze, shared):
    """A/A/B in three files: is_premium is empty instead of 0, and what is dropped for it is said."""
    folder = shared / "dating_app_aab"
    files = [f"{name}={folder / f'users_{name}.csv.gz'}" for name in ("control_1", "control_2", "test")]
    found = analyze(
        *files, "--sep", ";", "--unit", "uid", "--control", "control_1", "--metric", "is_premium,mean"
    )
    sizes = {name: one["n"] + one["missing"] for name, one in variants(found, "is_premium").items()}
    assert sizes == {"control_1": 4340, "control_2": 4264, "test": 4308}
    missing = check(found, "missing_outcomes")
    assert missing["status"] in ("warn", "fail")
    assert "left out" in missing["detail"]
    counts = {"control_1": "84/4101", "control_2": "83/4018", "test": "60/4054"}
    found = analyze(
        "--counts", *(f"{name}={pair}" for name, pair in counts.items()), "--control", "control_1"
    )
    ps = {one["variant"]: one["p_value"] for one in found["metrics"][0]["comparisons"]}
    assert ps["control_2"] == pytest.approx(0.9559, abs=5e-5)
    assert ps["test"] == pytest.approx(0.0514, abs=5e-5)
    second = analyze("--counts", "control_2=83/4018", "test=60/4054", "--control", "control_2")
    assert second["metrics"][0]["comparisons"][0]["p_value"] == pytest.approx(0.0461, abs=5e-5)


def test_geo_trap_regions_differ_in_size(shared):
    """The unit is the region: the difference in differences of mean log revenue, one number a region."""
    sums = defaultdict(lambda: [0.0, 0])
    stays = {}
    for row in rows(shared / "paid_search_geo/paidsearch.csv.gz"):
        cell = sums[row["dma"], row["treatment_period"]]
        cell[0] += log(float(row["revenue"]))
        cell[1] += 1
        stays[row["dma"]] = row["search stays on"]
    change = {
        dma: sums[dma, "1"][0] / sums[dma, "1"][1] - sums[dma, "0"][0] / sums[dma, "0"][1] for dma in stays
    }
    off = Moments.from_arrays([change[dma] for dma in stays if stays[dma] == "0"])
    on = Moments.from_arrays([change[dma] for dma in stays if stays[dma] == "1"])
    assert (off.n, on.n) == (68, 142)
    effect = effect_of(on, off)
    assert effect.difference == pytest.approx(-0.0066, abs=5e-5)
    assert effect.std_error == pytest.approx(0.0055, abs=1e-4)
    assert p_value(effect) > 0.05


def test_switchback_trap_the_period_effect(shared):
    """One contrast a cow, the middle period against its neighbours, compared by sequence: t with 8 df."""
    yields = defaultdict(dict)
    group = {}
    for row in rows(shared / "switchback_dairy/brandt_switchback.csv.gz"):
        yields[row["cow"]][row["period"]] = float(row["yield"])
        group[row["cow"]] = row["group"]
    contrast = {cow: y["P2"] - (y["P1"] + y["P3"]) / 2 for cow, y in yields.items()}
    a = Moments.from_arrays([contrast[cow] for cow in contrast if group[cow] == "A"])
    b = Moments.from_arrays([contrast[cow] for cow in contrast if group[cow] == "B"])
    effect = effect_of(b, a)
    assert effect.difference / 2 == pytest.approx(21.7, abs=0.05)
    assert effect.control.df + effect.treatment.df == 8


def test_counts_need_no_file(shared):
    evidence = evidence_from_counts({"control": (17_489, 145_274), "treatment": (17_264, 145_310)}, "control",
                                    _metric())  # fmt: skip
    assert evidence.total.units == {"control": 145_274, "treatment": 145_310}


def _metric():
    from upshot.formats.metric_text import parse_metric

    return parse_metric("converted")
