"""Every setting is an environment variable with a default; a wrong one is refused by name, all at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.errors import ConfigError
from serving.settings import SHIPPED_MODEL, VARIABLES, ServiceSettings


def test_nothing_set_gives_the_defaults() -> None:
    settings = ServiceSettings.from_environment({"MODEL_FOLDER": "", "HOME": "/somewhere"})
    assert settings == ServiceSettings()
    assert settings.model_folder == SHIPPED_MODEL
    assert settings.max_texts == 256


def test_every_field_has_a_variable_that_sets_it() -> None:
    written = {
        "model_folder": "models/a",
        "keys": "a:1 b:2",
        "keys_file": "keys.txt",
        "cors_origins": "https://desk.example, http://localhost:8000/",
        "log_format": "text",
        "traces": "console",
        "jobs_folder": "jobs",
        "jobs_database": "sqlite:///jobs.sqlite",
        "webhook_secret": "a secret",
        "webhook_hosts": "Desk.example, localhost",
    }
    environment = {variable: written.get(name, "2048") for name, variable in VARIABLES.items()}
    settings = ServiceSettings.from_environment(environment)
    assert settings.model_folder == Path("models/a")
    assert settings.keys_file == Path("keys.txt")
    assert settings.cors_origins == ("https://desk.example", "http://localhost:8000")
    assert (settings.keys, settings.log_format, settings.traces) == ("a:1 b:2", "text", "console")
    assert (settings.jobs_folder, settings.jobs_url, settings.webhook_secret) == (Path("jobs"), "sqlite:///jobs.sqlite", "a secret")
    assert settings.webhook_hosts == ("desk.example", "localhost")
    assert {getattr(settings, name) for name in VARIABLES if name not in written} == {2048}


def test_all_wrong_values_are_named_at_once() -> None:
    with pytest.raises(ConfigError, match=r"(?s)FEEDBACK_THREADS is 'many'.*FEEDBACK_MAX_TEXTS is '-1'"):
        ServiceSettings.from_environment({"FEEDBACK_MAX_TEXTS": "-1", "FEEDBACK_THREADS": "many"})


def test_values_out_of_range_are_named() -> None:
    with pytest.raises(ConfigError, match=r"(?s)FEEDBACK_MAX_TEXTS is 0; write at least 1.*FEEDBACK_MAX_BODY_BYTES is 5"):
        ServiceSettings.from_environment({"FEEDBACK_MAX_TEXTS": "0", "FEEDBACK_MAX_BODY_BYTES": "5"})


def test_a_slip_in_a_variables_name_is_found() -> None:
    with pytest.raises(ConfigError, match=r"FEEDBACK_MAX_TEXT is not known; did you mean FEEDBACK_MAX_TEXTS"):
        ServiceSettings.from_environment({"FEEDBACK_MAX_TEXT": "5"})


def test_what_kubernetes_sets_for_a_service_called_feedback_is_left_alone() -> None:
    environment = {
        "FEEDBACK_PORT": "tcp://10.0.0.1:80",
        "FEEDBACK_SERVICE_HOST": "10.0.0.1",
        "FEEDBACK_PORT_80_TCP_ADDR": "10.0.0.1",
    }
    assert ServiceSettings.from_environment(environment) == ServiceSettings()


@pytest.mark.parametrize("origin", ["*", "desk.example", "https://*.example", "https://desk.example/page"])
def test_an_origin_that_is_none_is_refused(origin: str) -> None:
    with pytest.raises(ConfigError, match=r"write origins as https://desk\.example"):
        ServiceSettings.from_environment({"FEEDBACK_CORS_ORIGINS": origin})


def test_words_that_are_not_known_are_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"(?s)FEEDBACK_LOG_FORMAT is 'xml'; write one of json, text.*FEEDBACK_TRACES is 'on'"):
        ServiceSettings.from_environment({"FEEDBACK_LOG_FORMAT": "xml", "FEEDBACK_TRACES": "on"})


def test_a_rate_without_keys_is_refused() -> None:
    with pytest.raises(ConfigError, match="FEEDBACK_REQUESTS_PER_MINUTE needs keys"):
        ServiceSettings.from_environment({"FEEDBACK_REQUESTS_PER_MINUTE": "60"})


def test_keys_do_not_show_where_settings_are_printed() -> None:
    assert "secret" not in repr(ServiceSettings(keys="secret"))
