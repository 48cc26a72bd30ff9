from jsonschema import Draft202012Validator

from upshot.formats.catalogue import FILE, catalogue, worked_text
from upshot.formats.event_metric_schema import metrics_schema
from upshot.formats.event_metrics import metrics_from_yaml
from upshot.formats.yaml_text import read_yaml

PROMISED = {
    "conversion_rate", "activation", "revenue_per_user", "engagement_rate", "session_duration", "feature_adoption",
    "crash_rate", "load_time_p95", "load_time_mean", "churn", "retention_d1", "retention_d7", "retention_d30",
    "feature_discovery", "ltv", "k_factor", "share_rate", "invite_acceptance",
}  # fmt: skip


def test_what_is_promised_is_in_it():
    assert set(catalogue()) >= PROMISED


def test_each_is_described_and_matures():
    assert [name for name, metric in catalogue().items() if not metric.description] == []
    assert [name for name, metric in catalogue().items() if metric.ends is None] == []


def test_the_lines_of_each_read_back_to_it_and_editors_allow_them():
    schema = Draft202012Validator(metrics_schema())
    for name, metric in catalogue().items():
        assert metrics_from_yaml(worked_text(name), FILE) == {name: metric}
        assert list(schema.iter_errors(read_yaml(worked_text(name), FILE))) == []
