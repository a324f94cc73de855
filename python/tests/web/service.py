"""The application of these tests: run by uvicorn in a process of its own. ``x-run`` says how often an endpoint ran."""

from __future__ import annotations

import asyncio
import os
from collections import Counter

from fastapi import BackgroundTasks, Depends, FastAPI, Header, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse

import afresh
from afresh.web import CacheMiddleware, asked, cached, invalidate, keep

cache = afresh.Cache("web")
cache.setup(os.environ["WEB_STORE"])
app = FastAPI()
app.add_middleware(CacheMiddleware, cache=cache, max_bytes=100_000)
runs: Counter[str] = Counter()
said = {"value": "one"}
minute = Depends(cached("1m"))


def run(name: str) -> dict[str, str]:
    runs[name] += 1
    return {"x-run": str(runs[name])}


@app.get("/runs/{name}")
async def how_often(name: str) -> int:
    return runs[name]


@app.put("/say/{value}")
async def say(value: str) -> None:
    said["value"] = value


@app.get("/plain")
async def plain() -> Response:
    return JSONResponse(said["value"], headers=run("plain"))


@app.get("/minute", dependencies=[minute])
@app.get("/other", dependencies=[minute])
async def a_minute(response: Response) -> str:
    response.headers.update(run("minute"))
    return said["value"]


@app.head("/minute", dependencies=[minute])
async def a_minutes_head(response: Response) -> None:
    run("head")


@app.post("/minute")
async def changes() -> str:
    run("posted")
    return "posted"


@app.post("/fails")
@app.get("/fails", dependencies=[minute])
async def fails(request: Request) -> Response:
    status = 500 if request.method == "POST" else 200
    return JSONResponse(said["value"], status_code=status, headers=run("fails"))


@app.get("/items/{item}", dependencies=[Depends(cached("1m", tags=["items", "item:{item}"]))])
async def an_item(item: str, request: Request, tasks: BackgroundTasks) -> Response:
    return JSONResponse([request.url.path, said["value"]], headers=run(f"item-{item}"))


@app.delete("/tags/{tag}")
async def forget_tag(tag: str) -> None:
    await cache.delete_tags(tag)


@app.delete("/urls/{item}")
async def forget_url(item: str, request: Request) -> bool:
    return await invalidate(cache, request.url_for("an_item", item=item))


@app.get("/race", dependencies=[Depends(cached("1m", tags=["race"]))])
async def race() -> Response:
    value = said["value"]
    await asyncio.sleep(0.5)
    return JSONResponse(value, headers=run("race"))


@app.get("/control")
async def control(says: str, status: int = 200) -> Response:
    return JSONResponse(said["value"], status_code=status, headers={"cache-control": says, **run("control")})


@app.get("/expires")
async def expires(value: str) -> Response:
    return JSONResponse("x", headers={"expires": value, **run("expires")})


@app.get("/own", dependencies=[Depends(cached("1m", vary=["accept-language"]))])
async def own_headers() -> Response:
    own = {"etag": 'W/"own, with a comma"', "cache-control": "max-age=30, public", "vary": "Origin", "x-cache": "mine"}
    return JSONResponse("x", headers={**own, **run("own")})


@app.get("/stream", dependencies=[minute])
async def stream() -> Response:
    async def pieces():
        for piece in (b"one", b"", b"two", b"\xff\x00", b"three"):
            yield piece
            await asyncio.sleep(0.01)

    response = StreamingResponse(pieces(), media_type="application/octet-stream", headers=run("stream"))
    for n in range(3):
        response.headers.append("x-many", f"value {n}; with=commas, and=more")
    response.headers["x-latin"] = "caf\xe9"
    return response


@app.get("/breaks", dependencies=[minute])
async def breaks() -> Response:
    async def pieces():
        yield b"begin"
        if run("breaks")["x-run"] == "1":
            raise RuntimeError("in the middle")
        yield b"end"

    return StreamingResponse(pieces())


@app.get("/large", dependencies=[minute])
async def large() -> Response:
    return Response(b"x" * 100_001, headers=run("large"))


@app.get("/language", dependencies=[Depends(cached("1m", vary=["Accept-Language"], tags=["language"]))])
async def language(accept_language: str = Header("none")) -> Response:
    return JSONResponse([accept_language, said["value"]], headers=run(f"language-{accept_language}"))


@app.get("/varies")
async def varies(request: Request, star: bool = False) -> Response:
    name = request.headers.get("x-kind", "")
    headers = {"cache-control": "max-age=60", "vary": "*" if star else "X-Kind"}
    return JSONResponse(name, headers={**headers, **run(f"varies-{name}")})


@app.get("/private", dependencies=[minute])
async def private(request: Request) -> Response:
    if request.headers.get("authorization") != "Bearer right":
        return Response(status_code=401, headers=run("denied"))
    return JSONResponse("secret", headers=run("private"))


@app.get("/session", dependencies=[minute])
async def session(request: Request) -> Response:
    return JSONResponse(request.cookies.get("name", "stranger"), headers=run("session"))


@app.get("/sets", dependencies=[minute])
async def sets() -> Response:
    response = JSONResponse("x", headers=run("sets"))
    response.set_cookie("a", "b")
    return response


@app.get("/stale")
async def stale() -> Response:
    return JSONResponse(said["value"], headers={"cache-control": "max-age=1, stale-while-revalidate=60", **run("stale")})


@app.get("/tired")
async def tired() -> Response:
    run("tired")
    if said["value"] == "broken":
        raise RuntimeError("broken")
    return JSONResponse("x", headers={"cache-control": "max-age=1, stale-while-revalidate=60"})


@app.get("/shaky", dependencies=[Depends(cached(1, failover="1m"))])
async def shaky(request: Request) -> Response:
    if said["value"] == "down":
        return Response(status_code=503)
    if said["value"] == "broken":
        raise RuntimeError("broken")
    return JSONResponse(said["value"], headers=run("shaky"))


@app.get("/slow")
async def slow(ttl: int, n: int = 0) -> Response:
    headers = run(f"slow-{ttl}-{n}")
    await asyncio.sleep(0.5)
    return JSONResponse("x", headers={"cache-control": f"max-age={ttl}", **headers})


@app.get("/modified", dependencies=[minute])
async def modified() -> Response:
    return HTMLResponse("x", headers={"last-modified": "Wed, 21 Oct 2015 07:28:00 GMT", **run("modified")})


@app.get("/nothing", dependencies=[minute])
async def nothing() -> Response:
    return Response(status_code=204, headers=run("nothing"))


@app.get("/kept")
async def kept(request: Request) -> Response:
    await keep(request, "1m", tags=["kept"])
    return JSONResponse(said["value"], headers=run("kept"))


@afresh.memo(store="memory:", mode="name", ignore=("request",))
async def remembered(item: str, request: Request) -> str:
    run(f"remembered-{item}")
    return f"{item} for {request.method}"


app.get("/remembered/{item}")(remembered)


@afresh.memo(store="memory:", mode="name")
async def price(item: str) -> str:
    run(f"price-{item}")
    return said["value"]


@app.get("/price/{item}")
async def a_price(item: str, request: Request) -> str:
    return await price.options(**asked(request))(item)
