"""HTTP to a system: which addresses are asked, and whose certificates count."""

import pytest

from orderctl.errors import ServerSetupError, UsageError
from orderctl.systems.systems import Found
from support.http_server import http_server
from support.remote_systems import OPEN, Woo, settings_of
from support.smtp_server import ca_file


def test_certificates_are_checked_with_the_file_of_the_settings(tmp_path):
    woo = Woo()
    with http_server(woo, tls=True) as server:
        trusting = settings_of(woo, server.url, tmp_path / "shop", ca_file=ca_file(tmp_path))
        with trusting.connect() as system:
            assert system.look([woo.keys[OPEN]]) == {woo.keys[OPEN]: Found.OPEN}
        asked = len(server.requests)
        strict = settings_of(woo, server.url, tmp_path / "other")
        with strict.connect() as system, pytest.raises(ServerSetupError, match="certificate") as caught:
            system.look([woo.keys[OPEN]])
        assert "ca_file" in caught.value.hint
        assert len(server.requests) == asked


def test_a_certificate_for_another_host_is_refused(tmp_path):
    woo = Woo()
    with http_server(woo, tls=True, certificate_for="other.example") as server:
        settings = settings_of(woo, server.url, tmp_path / "shop", ca_file=ca_file(tmp_path))
        with settings.connect() as system, pytest.raises(ServerSetupError):
            system.look([woo.keys[OPEN]])
        assert server.requests == []


def test_no_proxy_and_no_login_of_the_environment_is_used(tmp_path, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login other password other")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    woo = Woo()
    with http_server(woo) as server, settings_of(woo, server.url, tmp_path / "shop").connect() as system:
        assert system.look([woo.keys[OPEN]]) == {woo.keys[OPEN]: Found.OPEN}


def test_a_shop_below_a_path_is_asked_there(tmp_path):
    woo = Woo()
    with http_server(woo) as server, settings_of(woo, f"{server.url}/wp/", tmp_path / "shop").connect() as system:
        assert system.look(["11"]) == {"11": Found.OPEN}
        assert server.requests[0].path == "/wp/wp-json/wc/v3/orders"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://shop.example", "for everyone in between to read"),
        ("http://10.0.0.1", "for everyone in between to read"),
        ("https://me:pw@shop.example", "holds a login"),
        ("https://shop.example/?token=pw", "is not an address"),
        ("shop.example", "is not an address"),
        ("ftp://shop.example", "is not an address"),
        ("https://", "is not an address"),
        ("", "systems.shop.url is not set"),
    ],
)
def test_an_address_that_would_show_or_lose_orders_is_refused(tmp_path, url, said):
    with pytest.raises(UsageError, match=said) as caught:
        settings_of(Woo(), url, tmp_path / "shop").connect()
    assert caught.value.hint
    assert "pw" not in caught.value.sentence


def test_a_secret_that_is_missing_or_has_two_lines_is_named(tmp_path):
    settings = settings_of(Woo(), "https://shop.example", tmp_path / "shop", secret_file="")
    with pytest.raises(UsageError, match="no password or token"):
        settings.connect()
    settings = settings_of(
        Woo(), "https://shop.example", tmp_path / "shop", kind="shopify", reason="other", refund="none", restock="no"
    )
    (tmp_path / "shop" / "secret").write_text("one\ntwo")
    with pytest.raises(UsageError, match="not one line of ASCII") as caught:
        settings.connect()
    assert "two" not in caught.value.sentence


def test_a_file_of_certificates_that_is_none_is_named(tmp_path):
    settings = settings_of(Woo(), "https://shop.example", tmp_path / "shop", ca_file=str(tmp_path / "none.pem"))
    with pytest.raises(UsageError, match="ca_file"):
        settings.connect()
