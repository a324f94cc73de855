"""Responses in front of a real server: what is stored, to whom it is given, and when not (RFC 9111; cashews T13)."""

from __future__ import annotations

import itertools
import threading
import time

import httpx
import pytest

_numbers = itertools.count()


@pytest.fixture
def fresh():
    """A query that makes the URL one that nobody has asked for."""
    return f"?fresh={next(_numbers)}"


def how(response):
    return response.headers.get("x-cache"), int(response.headers.get("x-run", 0))


def runs(client, name):
    return client.get(f"/runs/{name}").json()


def test_what_is_stored_is_given_with_its_age(client, fresh):
    first = client.get(f"/minute{fresh}")
    time.sleep(1.2)
    second = client.get(f"/minute{fresh}")
    assert how(first)[0] == "miss" and how(second) == ("hit", how(first)[1])
    assert first.json() == second.json() == "one" and first.content == second.content
    assert "age" not in first.headers
    # T13: it was the time that remained.
    assert second.headers["age"] == "1"
    assert first.headers["cache-control"] == second.headers["cache-control"] == "max-age=60"
    assert first.headers["etag"] == second.headers["etag"]
    assert {"age"} == set(second.headers) - set(first.headers)


def test_nothing_is_stored_that_nobody_said_lasts(client):
    assert how(client.get("/plain"))[0] == how(client.get("/plain"))[0] == "miss"
    assert "cache-control" not in client.get("/plain").headers


def test_another_url_or_query_is_another_response(client, fresh):
    client.get(f"/minute{fresh}")
    assert how(client.get(f"/minute{fresh}&more"))[0] == "miss"
    assert how(client.get(f"/other{fresh}"))[0] == "miss"
    # T13: any known ETag answered 304 for any URL.
    tag = client.get(f"/minute{fresh}").headers["etag"]
    item = client.get("/items/elsewhere", headers={"if-none-match": tag})
    assert item.status_code == 200


@pytest.mark.parametrize("also", ["", "W/"])
def test_who_has_it_gets_a_304_that_says_so(client, fresh, also):
    first = client.get(f"/minute{fresh}")
    tag = first.headers["etag"]
    for condition in (also + tag, f'"other", {also}{tag}', f'"a,b" ,{also}{tag},"c"', "*"):
        found = client.get(f"/minute{fresh}", headers={"if-none-match": condition})
        assert found.status_code == 304 and found.content == b"", condition
        # T13: it had none.
        assert found.headers["etag"] == tag and found.headers["cache-control"] == "max-age=60"
        assert found.headers["age"] == "0" and how(found)[0] == "hit"
        assert "content-length" not in found.headers and "content-type" not in found.headers
    for condition in ('"other"', tag.strip('"'), f'"{tag}', "", "W/*"):
        found = client.get(f"/minute{fresh}", headers={"if-none-match": condition})
        assert found.status_code == 200 and found.json() == "one", condition


def test_a_response_that_is_made_anew_is_compared_too(client):
    tag = client.get("/plain").headers["etag"]
    before = runs(client, "plain")
    assert client.get("/plain", headers={"if-none-match": tag}).status_code == 304
    assert runs(client, "plain") == before + 1
    client.put("/say/two")
    assert client.get("/plain", headers={"if-none-match": tag}).json() == "two"


def test_no_other_method_is_answered_by_the_cache(client, fresh):
    """T13: POST with If-None-Match gave 304 and the handler did not run."""
    tag = client.get(f"/minute{fresh}").headers["etag"]
    before = runs(client, "posted")
    for condition in (tag, "*"):
        posted = client.post(f"/minute{fresh}", headers={"if-none-match": condition})
        assert posted.status_code == 200 and posted.json() == "posted"
        assert "x-cache" not in posted.headers and "etag" not in posted.headers
    assert runs(client, "posted") == before + 2


def test_a_method_that_changes_takes_back_what_is_stored(client, fresh):
    client.get(f"/minute{fresh}")
    client.post(f"/minute{fresh}")
    assert how(client.get(f"/minute{fresh}"))[0] == "miss"
    client.get(f"/fails{fresh}")
    assert client.post(f"/fails{fresh}").status_code == 500
    assert how(client.get(f"/fails{fresh}"))[0] == "hit"
    client.options(f"/fails{fresh}")
    assert how(client.get(f"/fails{fresh}"))[0] == "hit"


def test_who_may_not_see_it_does_not(client):
    """T13: what would have been 401 was 304."""
    right = {"authorization": "Bearer right"}
    first = client.get("/private", headers=right)
    assert first.json() == "secret"
    second = client.get("/private", headers=right)
    assert how(second)[0] == "miss" and how(second)[1] == how(first)[1] + 1
    for headers in ({}, {"if-none-match": first.headers["etag"]}, {"if-none-match": "*"}):
        assert client.get("/private", headers=headers).status_code == 401
    assert client.get("/private", headers={**right, "if-none-match": first.headers["etag"]}).status_code == 304


def test_what_is_taken_back_is_gone_with_its_tag(client):
    """T13: it was 304 still after the key was deleted."""
    for how_, path in (("by a tag", "/tags/item:7"), ("by a common tag", "/tags/items"), ("by its URL", "/urls/7")):
        client.put(f"/say/{how_}")
        client.delete("/tags/items")
        first = client.get("/items/7")
        assert how(client.get("/items/7"))[0] == "hit"
        other = client.get("/items/8")
        client.put("/say/after")
        client.delete(path)
        found = client.get("/items/7", headers={"if-none-match": first.headers["etag"]})
        assert found.status_code == 200 and found.json() == ["/items/7", "after"], how_
        kept = how(client.get("/items/8")) == ("hit", how(other)[1])
        assert kept == (path != "/tags/items")


def test_what_is_taken_back_while_it_is_computed_is_not_stored(client, fresh):
    got = []
    running = threading.Thread(target=lambda: got.append(client.get(f"/race{fresh}")))
    running.start()
    time.sleep(0.2)
    client.put("/say/two")
    client.delete("/tags/race")
    running.join()
    assert got[0].json() == "one"
    assert client.get(f"/race{fresh}").json() == "two"
    assert how(client.get(f"/race{fresh}"))[0] == "hit"


def test_endpoints_may_take_a_request(client):
    """cashews T24: an endpoint with a `Request` never hit."""
    client.delete("/tags/items")
    first = client.get("/items/seven")
    assert how(client.get("/items/seven")) == ("hit", how(first)[1])
    before = runs(client, "remembered-a")
    assert client.get("/remembered/a").json() == client.get("/remembered/a").json() == "a for GET"
    assert runs(client, "remembered-a") == before + 1


@pytest.mark.parametrize(
    "control", ["no-cache", "No-Cache", "no-cache, no-store", "max-age=0", "max-age=junk", 'max-age="0"', "min-fresh=61"]
)
def test_a_client_may_refuse_what_is_stored(client, fresh, control):
    """T13: `No-Cache` and `no-cache, no-store` were not recognised."""
    first = client.get(f"/minute{fresh}")
    again = client.get(f"/minute{fresh}", headers={"cache-control": control})
    assert how(again) == ("miss", how(first)[1] + 1)


def test_no_cache_stores_what_it_makes_and_no_store_does_not(client, fresh):
    client.get(f"/minute{fresh}")
    second = client.get(f"/minute{fresh}", headers={"pragma": "no-cache"})
    assert how(client.get(f"/minute{fresh}")) == ("hit", how(second)[1])
    third = client.get(f"/minute{fresh}", headers={"cache-control": "no-store"})
    assert how(third) == ("miss", how(second)[1] + 1)
    assert how(client.get(f"/minute{fresh}")) == ("hit", how(second)[1])
    only = client.get(f"/minute{fresh}&more", headers={"cache-control": "no-store"})
    assert how(client.get(f"/minute{fresh}&more")) == ("miss", how(only)[1] + 1)


def test_the_age_that_a_client_takes(client, fresh):
    first = client.get(f"/minute{fresh}")
    time.sleep(1.1)
    assert how(client.get(f"/minute{fresh}", headers={"cache-control": "max-age=30, min-fresh=20"}))[0] == "hit"
    again = client.get(f"/minute{fresh}", headers={"cache-control": "max-age=1"})
    assert how(again) == ("miss", how(first)[1] + 1)


def test_only_if_cached(client, fresh):
    asked = {"cache-control": "only-if-cached"}
    assert client.get(f"/minute{fresh}", headers=asked).status_code == 504
    client.get(f"/minute{fresh}")
    assert how(client.get(f"/minute{fresh}", headers=asked))[0] == "hit"


def test_stale_while_it_is_made_anew(client, fresh):
    client.get(f"/stale{fresh}")
    client.put("/say/two")
    time.sleep(1.1)
    old = client.get(f"/stale{fresh}")
    assert how(old)[0] == "stale" and old.json() == "one" and old.headers["age"] == "1"
    for _ in range(100):
        new = client.get(f"/stale{fresh}", headers={"cache-control": "max-age=1"})
        if new.json() == "two":
            break
        time.sleep(0.02)
    assert new.json() == "two" and how(new)[0] == "hit"


def test_a_refresh_that_fails_is_not_tried_at_each_request(client, fresh):
    client.get(f"/tired{fresh}")
    client.put("/say/broken")
    time.sleep(1.1)
    before, began = runs(client, "tired"), time.monotonic()
    for _ in range(40):
        assert how(client.get(f"/tired{fresh}"))[0] == "stale"
        time.sleep(0.01)
    assert 1 <= runs(client, "tired") - before <= 2 + (time.monotonic() - began)


def test_a_client_may_take_what_is_stale(client, fresh):
    url = f"/control{fresh}&says=max-age%3D1,stale-if-error%3D60"
    first = client.get(url)
    time.sleep(1.2)
    assert how(client.get(url, headers={"cache-control": "max-stale=30"})) == ("stale", how(first)[1])
    assert how(client.get(url, headers={"cache-control": "max-stale"})) == ("stale", how(first)[1])
    assert how(client.get(url, headers={"cache-control": "max-stale=0"})) == ("miss", how(first)[1] + 1)


def test_an_earlier_response_stands_in(client, fresh):
    first = client.get(f"/shaky{fresh}")
    assert first.status_code == 200
    time.sleep(1.1)
    for state in ("down", "broken"):
        client.put(f"/say/{state}")
        found = client.get(f"/shaky{fresh}")
        assert found.status_code == 200 and found.json() == "one" and how(found)[0] == "stale"
        # Who does not want it gets the failure.
        refused = httpx.get(f"{client.base_url}/shaky{fresh}", headers={"cache-control": "no-cache"})
        assert refused.status_code == (503 if state == "down" else 500)
    client.put("/say/two")
    assert client.get(f"/shaky{fresh}").json() == "two"


@pytest.mark.parametrize(
    ("says", "kept"),
    [
        ("max-age=60", True),
        ("MAX-AGE=60, Public", True),
        ('max-age="60"', True),
        ("s-maxage=60, max-age=0", True),
        ("public", False),
        ("max-age=0", False),
        ("max-age=junk", False),
        ("no-store, max-age=60", False),
        ("no-cache, max-age=60", False),
        ('private="x", max-age=60', False),
        ("private, max-age=60", False),
        ("s-maxage=0, max-age=60", False),
    ],
)
def test_what_the_application_says_holds_and_is_never_changed(client, fresh, says, kept):
    """T13: the endpoint's own Cache-Control was overwritten."""
    found = [client.get("/control", params={"says": says, "fresh": fresh}) for _ in range(2)]
    assert [one.headers["cache-control"] for one in found] == [says] * 2
    assert [how(one)[0] for one in found] == ["miss", "hit" if kept else "miss"]


def test_statuses(client, fresh):
    for status, kept in ((200, True), (404, True), (301, True), (206, False), (500, True)):
        ask = lambda: client.get("/control", params={"says": "max-age=60", "status": status, "fresh": fresh})  # noqa: B023, E731
        first, second = ask(), ask()
        assert first.status_code == second.status_code == status
        assert how(second)[0] == ("hit" if kept else "miss"), status
        # A condition is for what would be 200.
        condition = {"if-none-match": "*"}
        third = client.get("/control", params={"says": "max-age=60", "status": status, "fresh": fresh}, headers=condition)
        assert third.status_code == (304 if status == 200 else status)
    assert how(client.get(f"/nothing{fresh}"))[0] == "miss"
    assert client.get(f"/nothing{fresh}").status_code == 204 and how(client.get(f"/nothing{fresh}"))[0] == "hit"


def test_expires(client):
    later = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 60))
    for value, kept in ((later, True), ("0", False), ("Wed, 21 Oct 2015 07:28:00 GMT", False)):
        found = [client.get("/expires", params={"value": value}) for _ in range(2)]
        assert how(found[1])[0] == ("hit" if kept else "miss"), value
        assert found[1].headers["expires"] == value and "cache-control" not in found[1].headers


def test_the_applications_own_headers_stay(client, fresh):
    first, second = client.get(f"/own{fresh}"), client.get(f"/own{fresh}")
    assert how(second)[1] == how(first)[1]
    for found in (first, second):
        assert found.headers["etag"] == 'W/"own, with a comma"' and found.headers["x-cache"] == "mine"
        assert found.headers["cache-control"] == "max-age=30, public"
        assert found.headers["vary"].lower() == "origin, accept-language"
    known = client.get(f"/own{fresh}", headers={"if-none-match": '"x", "own, with a comma"'})
    assert known.status_code == 304 and known.headers["etag"] == 'W/"own, with a comma"'
    assert known.headers["vary"].lower() == "origin, accept-language"


def test_streams_keep_all_their_headers_and_pieces(client, fresh):
    """T13: a second request failed; headers after the second were lost; an empty piece was the end."""
    first, second = client.get(f"/stream{fresh}"), client.get(f"/stream{fresh}")
    assert first.content == second.content == b"onetwo\xff\x00three"
    assert [how(first)[0], how(second)] == ["miss", ("hit", how(first)[1])]
    many = [f"value {n}; with=commas, and=more" for n in range(3)]
    for found in (first, second):
        assert found.headers.get_list("x-many") == many
        assert dict(found.headers.raw)[b"x-latin"] == b"caf\xe9"
        assert found.headers["content-type"] == "application/octet-stream"
    assert "etag" not in first.headers and "content-length" not in first.headers
    assert second.headers["content-length"] == "13" and "transfer-encoding" not in second.headers
    known = client.get(f"/stream{fresh}", headers={"if-none-match": second.headers["etag"]})
    assert known.status_code == 304 and known.headers.get_list("x-many") == many


def test_a_stream_that_breaks_off_is_not_kept(client, fresh):
    with pytest.raises(httpx.RemoteProtocolError):
        client.get(f"/breaks{fresh}")
    found = client.get(f"/breaks{fresh}")
    assert found.content == b"beginend" and how(found)[0] == "miss"
    assert how(client.get(f"/breaks{fresh}"))[0] == "hit"


def test_what_is_too_large_is_passed_on(client, fresh):
    first, second = client.get(f"/large{fresh}"), client.get(f"/large{fresh}")
    assert len(first.content) == 100_001 and how(second) == ("miss", how(first)[1] + 1)


def test_head(client, fresh):
    before = runs(client, "head")
    empty = client.head(f"/minute{fresh}")
    assert how(empty)[0] == "miss" and runs(client, "head") == before + 1
    # It says nothing of what GET would give.
    full = client.get(f"/minute{fresh}")
    assert how(full)[0] == "miss" and full.json() == "one"
    known = client.head(f"/minute{fresh}")
    assert known.content == b"" and known.headers["content-length"] == str(len(full.content))
    assert known.headers["etag"] == full.headers["etag"] and how(known)[0] == "hit"
    assert client.head(f"/minute{fresh}", headers={"if-none-match": full.headers["etag"]}).status_code == 304
    assert runs(client, "head") == before + 1


def test_responses_that_vary(client, fresh):
    def ask(language, **more):
        return client.get(f"/language{fresh}", headers={"accept-language": language, **more})

    german, english = ask("de"), ask("en")
    assert german.json() == ["de", "one"] and english.json() == ["en", "one"]
    assert how(ask("de")) == ("hit", how(german)[1]) and how(ask("en")) == ("hit", how(english)[1])
    assert ask("de").headers["vary"] == german.headers["vary"] == "accept-language"
    # The tag of one is not that of the other.
    assert ask("en", **{"if-none-match": german.headers["etag"]}).status_code == 200
    assert ask("de", **{"if-none-match": german.headers["etag"]}).status_code == 304
    client.put("/say/two")
    client.delete("/tags/language")
    assert ask("de", **{"if-none-match": german.headers["etag"]}).json() == ["de", "two"]


def test_what_the_application_varies_by(client, fresh):
    def ask(kind, path="/varies"):
        return client.get(f"{path}{fresh}", headers={"x-kind": kind} if kind is not None else {})

    for kind in ("a", "b", "a, b", None, ""):
        first, second = ask(kind), ask(kind)
        assert first.json() == second.json() == (kind or "")
        assert how(first)[0] == "miss" and how(second)[0] == "hit", kind
    star = [client.get(f"/varies{fresh}&star=1") for _ in range(2)]
    assert how(star[1])[0] == "miss"


def test_all_variants_go_with_their_url(client, fresh):
    ask = lambda kind: client.get(f"/varies{fresh}", headers={"x-kind": kind})  # noqa: E731
    ask("a"), ask("b")
    client.post(f"/varies{fresh}")  # there is none: 405
    assert how(ask("a"))[0] == how(ask("b"))[0] == "hit"


def test_strangers_and_friends(client, fresh):
    """Where the application says nothing, a request with a cookie is answered by it, not by what a stranger got."""
    ask = lambda **cookies: client.get(  # noqa: E731
        f"/session{fresh}", headers={"cookie": "; ".join(f"{k}={v}" for k, v in cookies.items())} if cookies else {}
    )
    assert ask().json() == "stranger" and how(ask())[0] == "hit"
    assert ask(name="ada").json() == "ada" and ask(name="bob").json() == "bob"
    assert ask().json() == "stranger" and how(ask())[0] == "hit"
    assert [how(client.get(f"/sets{fresh}"))[0] for _ in range(2)] == ["miss", "miss"]


def test_parts_are_not_for_the_cache(client, fresh):
    client.get(f"/minute{fresh}")
    assert how(client.get(f"/minute{fresh}", headers={"range": "bytes=0-1"}))[0] == "miss"
    assert how(client.get(f"/minute{fresh}"))[0] == "hit"


def test_by_the_date(client, fresh):
    for _ in range(2):
        url = f"/modified{fresh}"
        assert client.get(url, headers={"if-modified-since": "Wed, 21 Oct 2015 07:28:00 GMT"}).status_code == 304
        assert client.get(url, headers={"if-modified-since": "Tue, 20 Oct 2015 07:28:00 GMT"}).status_code == 200
        assert client.get(url, headers={"if-modified-since": "junk"}).status_code == 200
        # The tag goes before the date.
        both = {"if-modified-since": "Wed, 21 Oct 2015 07:28:00 GMT", "if-none-match": '"other"'}
        assert client.get(url, headers=both).status_code == 200


@pytest.mark.parametrize(("ttl", "ran"), [(60, 1), (0, 10)])
def test_those_who_ask_at_once_share_a_run_if_it_is_kept(client, fresh, ttl, ran):
    got = []
    url = f"/slow{fresh}&ttl={ttl}&n={next(_numbers)}"
    with httpx.Client(base_url=client.base_url, timeout=30) as others:
        threads = [threading.Thread(target=lambda: got.append(others.get(url))) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [one.json() for one in got] == ["x"] * 10
    assert runs(client, f"slow-{ttl}-{url.rpartition('=')[2]}") == ran


def test_what_an_endpoint_says_itself(client, fresh):
    first = client.get(f"/kept{fresh}")
    assert how(client.get(f"/kept{fresh}")) == ("hit", how(first)[1])
    client.delete("/tags/kept")
    assert how(client.get(f"/kept{fresh}"))[0] == "miss"


def test_what_a_request_asks_of_a_remembered_function(client):
    item = f"item{next(_numbers)}"
    ask = lambda control=None: client.get(f"/price/{item}", headers={"cache-control": control} if control else {}).json()  # noqa: E731
    assert ask() == "one"
    client.put("/say/two")
    assert ask() == ask("max-age=60") == "one"
    assert ask("no-store") == "two" and ask() == "one"
    assert ask("no-cache") == "two" and ask() == "two"
