"""Media metadata over HTTP, against the real database and broker."""

from __future__ import annotations

import asyncio
import json

import pytest
from api_server import ADMIN, PLAYER, READ, serving, until, with_keys
from topic_records import records_of

from cuepoint.ops.schema_documents import json_schema
from cuepoint.schemas.codec import decoder
from cuepoint.schemas.media import ExternalAsset, Playlist, Video
from cuepoint.schemas.topics import MEDIA

pytestmark = pytest.mark.integration
VIDEOS, LISTS, OTHERS = "/v1/media/videos", "/v1/media/playlists", "/v1/media/external-assets"


@pytest.fixture
async def api(settings):
    async with serving(with_keys(settings)) as client:
        await until(lambda: migrated(client))
        yield client


async def migrated(client):
    return (await client.get(VIDEOS, headers=READ)).status_code == 200


async def test_a_video_is_kept_changed_removed_and_each_version_published(api, settings):
    created = await api.post(VIDEOS, json={"video_id": "v1", "title": "One", "duration_s": 60}, headers=ADMIN)
    assert (created.status_code, created.headers["etag"]) == (201, '"1"')
    assert created.headers["location"] == f"{VIDEOS}/v1"
    assert (await api.post(VIDEOS, json={"video_id": "v1"}, headers=ADMIN)).status_code == 409
    place = f"{VIDEOS}/v1"
    changed = await api.put(place, json={"title": "Two", "version": 9}, headers=ADMIN | {"if-match": '"1"'})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert (await api.put(place, json={"title": "Two"}, headers=ADMIN)).headers["etag"] == '"2"'  # equal: no version
    stale = await api.put(place, json={"title": "Three"}, headers=ADMIN | {"if-match": '"1"'})
    assert (stale.status_code, stale.headers["etag"]) == (412, '"2"')
    assert (await api.put(place, json={}, headers=ADMIN | {"if-none-match": "*"})).status_code == 412
    assert (await api.put(f"{VIDEOS}/v2", json={}, headers=ADMIN | {"if-match": "*"})).status_code == 412
    assert (await api.put(place, json={}, headers=ADMIN | {"if-match": "W/x"})).status_code == 400
    assert (await api.delete(place, headers=ADMIN | {"if-match": '"1"'})).status_code == 412
    assert (await api.delete(place, headers=ADMIN | {"if-match": '"2"'})).json()["status"] == "removed"
    assert (await api.get(place, headers=READ)).status_code == 404
    assert (await api.get(VIDEOS, headers=READ)).json() == {"items": [], "total": 0, "next": None}
    again = await api.put(place, json={"title": "Back"}, headers=ADMIN | {"if-none-match": "*"})
    assert again.headers["etag"] == '"4"'
    records = await asyncio.to_thread(records_of, settings, MEDIA, 4)
    told = [(record.key(), decoder(Video).decode(record.value())) for record in records]
    assert [(key, video.version, video.status) for key, video in told] == [
        (b"video/v1", 1, "active"),
        (b"video/v1", 2, "active"),
        (b"video/v1", 3, "removed"),
        (b"video/v1", 4, "active"),
    ]


async def test_playlists_and_external_assets(api):
    asset = {"external_id": "e1", "url": "https://example.org/e1.jpg", "kind": "image"}
    assert (await api.post(OTHERS, json=asset, headers=ADMIN)).status_code == 201
    assert (await api.get(f"{OTHERS}/e1", headers=READ)).json()["kind"] == "image"
    unknown = await api.post(LISTS, json={"playlist_id": "p1", "videos": ["v1"]}, headers=ADMIN)
    assert (unknown.status_code, unknown.json()["errors"][0]["field"]) == (422, "$.videos[0]")
    await api.post(VIDEOS, json={"video_id": "v1"}, headers=ADMIN)
    assert (await api.post(LISTS, json={"playlist_id": "p1", "videos": ["v1"]}, headers=ADMIN)).status_code == 201


async def test_bulk_import_takes_what_is_good_and_names_what_is_not(api):
    lines = [{"video_id": f"v{n}", "duration_s": 10 + n} for n in range(120)]
    body = "\n".join([*map(json.dumps, lines), "not json", '{"video_id": "v", "duration_s": -1}', '["v"]'])
    headers = ADMIN | {"content-type": "application/x-ndjson"}
    answer = (await api.post(f"{VIDEOS}/import", content=body, headers=headers)).json()
    assert (answer["created"], answer["changed"], answer["unchanged"]) == (120, 0, 0)
    assert [(e["line"], e["field"]) for e in answer["errors"]] == [(121, "$"), (122, "$.duration_s"), (123, "$")]
    sheet = (
        "video_id,title,duration_s,categories,cue_points,ratings\r\n"
        'v0,"A, B",4:00,music;news,60;2:00+30,viewers=4.5/12\r\n'
        "v1,,11,,,\r\n"
        "v2,,soon,,,\r\n"
        "v3,,60,,61,\r\n"
        "v4,,60,,,,,\r\n"
    )
    headers = ADMIN | {"content-type": "text/csv"}
    answer = (await api.post(f"{VIDEOS}/import", content=sheet, headers=headers)).json()
    assert (answer["created"], answer["changed"], answer["unchanged"]) == (0, 1, 1)
    assert [(e["line"], e["field"]) for e in answer["errors"]] == [
        (4, "$.duration_s"),
        (5, "$.cue_points[0].at_s"),
        (6, "$"),
    ]
    video = (await api.get(f"{VIDEOS}/v0", headers=READ)).json()
    assert (video["title"], video["duration_s"], video["categories"]) == ("A, B", 240.0, ["music", "news"])
    assert video["cue_points"] == [{"at_s": 60.0}, {"at_s": 120.0, "duration_s": 30.0}]
    assert video["ratings"] == {"viewers": {"value": 4.5, "votes": 12}}
    first = (await api.get(VIDEOS, params={"limit": 100}, headers=READ)).json()
    rest = (await api.get(VIDEOS, params={"limit": 100, "cursor": first["next"]}, headers=READ)).json()
    assert (len(first["items"]), len(rest["items"]), rest["total"], rest["next"]) == (100, 20, 120, None)


async def test_cue_points_of_a_log_and_of_a_manifest_stand_beside_those_typed_in(api):
    video = {"video_id": "v1", "duration_s": 600, "cue_points": [{"at_s": 30, "name": "mine"}]}
    await api.post(VIDEOS, json=video, headers=ADMIN)
    place, text = f"{VIDEOS}/v1/cue-points", {"content-type": "text/plain"}
    logged = await api.put(place, content="1:00 one\n2:00-2:30 two\n", headers=ADMIN | text | {"if-match": '"1"'})
    assert (logged.status_code, logged.headers["etag"]) == (200, '"2"')
    playlist = "#EXTM3U\n#EXTINF:300,\na.ts\n#EXT-X-CUE-OUT:20\n#EXTINF:300,\nb.ts\n"
    kind = {"content-type": "application/vnd.apple.mpegurl"}
    assert (await api.put(place, content=playlist, headers=ADMIN | kind)).status_code == 200
    relogged = await api.put(place, content="0:30 taken\n90 three\n", headers=ADMIN | text)
    found = [(cue["at_s"], cue.get("name", ""), cue.get("source", "manual")) for cue in relogged.json()["cue_points"]]
    assert found == [(30.0, "mine", "manual"), (90.0, "three", "log"), (300.0, "", "scte35")]
    for content, headers, status, field in (
        ("never", text, 422, "line 1"),
        ("11:00 too late", text, 422, "$.cue_points[2].at_s"),
        ("# nothing", text, 422, "$"),
        ("<MPD/>", kind, 400, "line 1"),
    ):
        refused = await api.put(place, content=content, headers=ADMIN | headers)
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (status, field), content
    assert (await api.put(place, content="{}", headers=ADMIN | {"content-type": "text/html"})).status_code == 415
    assert (await api.put(f"{VIDEOS}/v9/cue-points", content="1:00", headers=ADMIN | text)).status_code == 404


async def test_what_is_refused(api):
    for path, body, field in (
        (VIDEOS, {}, "$.video_id"),
        (VIDEOS, {"video_id": "a b"}, "$.video_id"),
        (VIDEOS, {"video_id": "v", "pets": 1}, "$"),
        (VIDEOS, {"video_id": "v", "url": "javascript:alert(1)"}, "$.url"),
        (VIDEOS, {"video_id": "v", "ratings": {"all": {"value": 6}}}, "$.ratings[...].value"),
        (VIDEOS, {"video_id": "v", "cue_points": [{"at_s": 1}, {"at_s": 1}]}, "$.cue_points[1].at_s"),
        (OTHERS, {"external_id": "e"}, "$.url"),
        (VIDEOS, [], "$"),
    ):
        answer = await api.post(path, json=body, headers=ADMIN)
        assert answer.status_code == 422, body
        assert answer.json()["errors"][0]["field"] == field
    assert (await api.put(f"{VIDEOS}/v", json={"video_id": "w"}, headers=ADMIN)).status_code == 422
    assert (await api.post(VIDEOS, json={"video_id": "v"}, headers=READ)).status_code == 403
    assert (await api.get(VIDEOS, headers=PLAYER)).status_code == 403
    assert (await api.get(VIDEOS)).status_code == 401
    broken = await api.post(VIDEOS, content="{", headers=ADMIN | {"content-type": "application/json"})
    assert (broken.status_code, broken.json()["errors"][0]["field"]) == (400, "$")
    document = (await api.get("/openapi.json")).json()
    assert {json_schema(kind)["title"] for kind in (Video, Playlist, ExternalAsset)} <= set(
        document["components"]["schemas"]
    )
