import pytest

from upshot.errors import InputError
from upshot.settings import Settings, read_settings

SERVER, CLIENT = "server-key-0123456789", "client-key-0123456789"


def test_nothing_set_gives_the_defaults():
    assert read_settings({}) == Settings()
    assert read_settings({"UPSHOT_SERVER_KEY": "", "UPSHOT_ALLOWED_ORIGINS": ""}) == Settings()


def test_everything_that_can_be_set():
    environ = {
        "UPSHOT_SERVER_KEY": SERVER,
        "UPSHOT_CLIENT_KEY": CLIENT,
        "UPSHOT_ALLOWED_ORIGINS": "https://shop.example,http://localhost:3000",
        "UPSHOT_FLAG_SET": "shop/production",
        "UPSHOT_RATE_LIMIT": "1e3",
        "UPSHOT_CLOCK": "demo/clock",
        "UPSHOT_KEEP_EVENTS": "400d",
    }
    assert read_settings(environ) == Settings(
        server_key=SERVER,
        client_key=CLIENT,
        allowed_origins=("https://shop.example", "http://localhost:3000"),
        flag_set="shop/production",
        rate_limit=1_000.0,
        clock="demo/clock",
        keep_days=400,
    )


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"UPSHOT_SERVER_KEY": "short"}, "UPSHOT_SERVER_KEY has 5 characters: give at least 16"),
        ({"UPSHOT_CLIENT_KEY": "x" * 15}, "UPSHOT_CLIENT_KEY has 15 characters: give at least 16"),
        ({"UPSHOT_CLIENT_KEY": "sixteen chars and"}, "UPSHOT_CLIENT_KEY holds a blank"),
        (
            {"UPSHOT_SERVER_KEY": "schlüssel-0123456789"},
            "UPSHOT_SERVER_KEY holds a blank or a character beyond",
        ),
        ({"UPSHOT_CLIENT_KEY": "user:password-0123"}, "UPSHOT_CLIENT_KEY holds a colon"),
        ({"UPSHOT_RATE_LIMIT": "many"}, "UPSHOT_RATE_LIMIT is 'many': give events a second"),
        ({"UPSHOT_RATE_LIMIT": "0"}, "UPSHOT_RATE_LIMIT is '0'"),
        ({"UPSHOT_RATE_LIMIT": "nan"}, "UPSHOT_RATE_LIMIT is 'nan'"),
        ({"UPSHOT_SERVER_KEY": SERVER, "UPSHOT_CLIENT_KEY": SERVER}, "the same as UPSHOT_SERVER_KEY"),
        ({"UPSHOT_ALLOWED_ORIGINS": "shop.example"}, "UPSHOT_ALLOWED_ORIGINS holds 'shop.example'"),
        ({"UPSHOT_ALLOWED_ORIGINS": "https://shop.example/"}, "holds 'https://shop.example/'"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_that_names_it(environ, said):
    with pytest.raises(InputError, match=r"^[^\n]*$") as caught:
        read_settings(environ)
    assert said in str(caught.value)


def test_keys_are_never_shown():
    settings = read_settings({"UPSHOT_SERVER_KEY": SERVER, "UPSHOT_CLIENT_KEY": CLIENT})
    assert SERVER not in repr(settings)
    assert CLIENT not in repr(settings)
    with pytest.raises(InputError) as caught:
        read_settings({"UPSHOT_SERVER_KEY": "hush"})
    assert "hush" not in str(caught.value)


def test_alerts_and_what_monitoring_reads():
    settings = read_settings(
        {
            "UPSHOT_ALERTS": "https://hooks.example/a  slack+https://hooks.example/b",
            "UPSHOT_ALERT_SECRET": "secret-of-my-shop",
            "UPSHOT_ALERTS_ALLOW": "10.0.0.0/8, hooks.internal",
            "UPSHOT_ERROR_EVENT": "Crash",
        }
    )
    assert settings.alerts == ("https://hooks.example/a", "slack+https://hooks.example/b")
    assert settings.alerts_allow == ("10.0.0.0/8", "hooks.internal")
    assert (settings.error_event, settings.latency_property) == ("Crash", None)
    assert "secret" not in repr(settings)
    assert "hooks.example" not in repr(settings)
